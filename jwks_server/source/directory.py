"""A directory's path -> what each of its key files holds. Private bytes never leave this module."""

import errno
import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from jwks_server.config import read_passphrase
from jwks_server.errors import DirectoryMissing, DirectoryUnreadable, FileUnreadable, KeyFileError, PolicyInvalid
from jwks_server.keys import policy
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.source.files import Fingerprint, contents

# The link that kubelet and the CSI driver swap; its rename is the only moment at which a volume is whole.
_DATA_LINK = "..data"
_SWAPS_TOLERATED = 8
_VOLUME_DEPTH = 8
# What is wrong with the machine and not with the file: it must not cost a key that is known.
_MACHINE_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EINTR})


@dataclass(frozen=True, slots=True)
class Scan:
    """What the directory held at one moment.

    Attributes:
        files: The key files by name, in order.
        policy: The text of ``jwks.toml``, or why it can't be read; None where there is none.
        whole: Whether it changes as a whole: a Kubernetes volume, or another directory than at the last scan.
    """

    files: Mapping[str, KeyFile]
    policy: bytes | PolicyInvalid | None
    whole: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """What is remembered of a file. Without a fingerprint it is read again, without a change in vain."""

    file: KeyFile
    fingerprint: Fingerprint | None = None
    digest: bytes = b""


class Directory:
    """The key directory at a path. Remembers what it read, so that only changed bytes are parsed again.

    Args:
        path: The directory; it may be missing, and come and go.
        patterns: Shell patterns for the names of key files. Names that start with a dot never match.
        passphrase: What opens encrypted private keys, to begin with.
        passphrase_file: Where it stands; while that is a regular file it is read anew at each scan.
    """

    def __init__(
        self,
        path: Path,
        patterns: Iterable[str],
        *,
        passphrase: bytes | None = None,
        passphrase_file: Path | None = None,
    ) -> None:
        self.path = path
        self._patterns = tuple(patterns)
        self._passphrase_file = passphrase_file
        self._passphrase = passphrase
        self._known: dict[str, _Read] = {}
        self._identity: tuple[int, int] | None = None

    def forget(self) -> None:
        """Read every byte anew at the next scan, whatever stat says."""
        self._known = {name: replace(read, fingerprint=None) for name, read in self._known.items()}

    def read(self) -> Scan:
        """Read the directory as it is at one moment. An unchanged file gives the same object again.

        Raises:
            DirectoryMissing: There is nothing at the path.
            DirectoryUnreadable: The path is no directory, it can't be read, or it doesn't hold still.
        """
        self._refresh_passphrase()
        try:
            for _ in range(_SWAPS_TOLERATED):
                if scan := self._scan():
                    return scan
        except FileNotFoundError as exc:
            raise DirectoryMissing(f"There is no directory {self.path}; create it, or mount it.") from exc
        except OSError as exc:
            raise DirectoryUnreadable(f"The directory {self.path} can't be read: {_reason(exc)}; mend it.") from exc
        raise DirectoryUnreadable(f"The directory {self.path} was swapped during each of {_SWAPS_TOLERATED} reads.")

    def _refresh_passphrase(self) -> None:
        if self._passphrase_file is None:
            return
        try:
            passphrase = read_passphrase(self._passphrase_file) if self._passphrase_file.is_file() else None
        except OSError:
            return
        if passphrase and passphrase != self._passphrase:
            self._passphrase = passphrase
            self._known.clear()

    def _scan(self) -> Scan | None:
        """Scan once; None where the directory or its data link was swapped meanwhile.

        Everything is opened below one descriptor, so that no swap can mix two directories.
        """
        with _opened(self.path) as top:
            link = _data_link(top)
            try:
                with _opened(link or ".", top) as root:
                    known = dict(self._read_folder(root, "", depth=_VOLUME_DEPTH if link else 0))
                    said = _read_policy(root)
            except FileNotFoundError:
                if _unmoved(top, link, self.path):
                    raise
                return None
            if not _unmoved(top, link, self.path):
                return None
            identity = _identity(top)
        whole = link is not None or identity != self._identity
        self._known, self._identity = known, identity
        return Scan({name: known[name].file for name in sorted(known)}, said, whole)

    def wants(self, name: str) -> bool:
        """Tell whether a name in the directory can be about a key, the policy or the whole volume."""
        return name in {_DATA_LINK, policy.FILE_NAME} or self._is_key_file(name)

    def _is_key_file(self, name: str) -> bool:
        return not name.startswith(".") and any(fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns)

    def _read_folder(self, folder: int, base: str, depth: int) -> Iterator[tuple[str, _Read]]:
        """Read the key files of a folder and, within a volume, of the folders in it."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if depth and entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, folder) as below:
                        yield from self._read_folder(below, f"{base}{entry.name}/", depth - 1)
                elif self._is_key_file(entry.name):
                    name = base + entry.name
                    if read := self._look_at(entry, folder, name):
                        yield name, read

    def _look_at(self, entry: os.DirEntry[str], folder: int, name: str) -> _Read | None:
        """Read a file unless it is known; None where it has gone since it was listed."""
        known = self._known.get(name)
        error: KeyFileError
        try:
            status = entry.stat()
            if known and known.fingerprint == Fingerprint.of(status):
                return known
            return self._read(name, contents(entry.name, folder, status), status, known)
        except KeyFileError as refused:
            error = refused
        except FileNotFoundError:
            if not entry.is_symlink():
                return None
            error = FileUnreadable("The link leads nowhere; mend it, or remove it.")
        except OSError as exc:
            if known and exc.errno in _MACHINE_ERRNOS:
                return replace(known, fingerprint=None)
            error = FileUnreadable(f"The file can't be read: {_reason(exc)}; mend it.")
        return _Read(KeyFile(name, error=error))

    def _read(self, name: str, data: bytes, status: os.stat_result, known: _Read | None) -> _Read:
        digest = hashlib.sha256(data).digest()
        file = known.file if known and known.digest == digest else read_file(name, data, self._passphrase)
        exposed = bool(status.st_mode & stat.S_IROTH)
        if file.world_readable != exposed:
            file = replace(file, world_readable=exposed)
        fingerprint = Fingerprint.of(status)
        return _Read(file, None if fingerprint.may_hide_a_change() else fingerprint, digest)


def _read_policy(folder: int) -> bytes | PolicyInvalid | None:
    try:
        return contents(policy.FILE_NAME, folder, os.stat(policy.FILE_NAME, dir_fd=folder))
    except FileNotFoundError:
        return None
    except KeyFileError as error:
        return PolicyInvalid(f"{policy.FILE_NAME}: {error.message}")
    except OSError as exc:
        return PolicyInvalid(f"{policy.FILE_NAME} can't be read: {_reason(exc)}; mend it.")


def _reason(exc: OSError) -> str:
    return os.strerror(exc.errno or errno.EIO)


@contextmanager
def _opened(path: Path | str, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _identity(top: int) -> tuple[int, int]:
    status = os.fstat(top)
    return status.st_dev, status.st_ino


def _data_link(top: int) -> str | None:
    """Read the link of a Kubernetes volume; None where the directory is not one."""
    try:
        return os.readlink(_DATA_LINK, dir_fd=top)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # something of that name, but no link
            return None
        raise


def _unmoved(top: int, link: str | None, path: Path) -> bool:
    """Tell whether the open directory is still the one at the path, with the same data link."""
    return os.path.samestat(os.fstat(top), os.stat(path)) and _data_link(top) == link  # noqa: PTH116 - as fstat
