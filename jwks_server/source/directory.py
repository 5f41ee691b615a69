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

from jwks_server.errors import DirectoryMissing, DirectoryUnreadable, FileUnreadable, KeyFileError, PolicyInvalid
from jwks_server.keys import policy
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.source.files import Fingerprint, contents

# The link that kubelet and the CSI driver swap; its rename is the only moment at which a volume is whole.
_DATA_LINK = "..data"
_SWAPS_TOLERATED = 8
_VOLUME_DEPTH = 8
# What is wrong with the file itself; any other OSError is the machine's, and must not cost a key.
_FILE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})


@dataclass(frozen=True, slots=True)
class Scan:
    """What the directory held at one moment.

    Attributes:
        files: The key files by name, in order.
        policy: The text of ``jwks.toml``, or why it can't be read; None where there is none.
        volume: Whether it is a Kubernetes volume, which changes as a whole.
    """

    files: Mapping[str, KeyFile]
    policy: bytes | PolicyInvalid | None
    volume: bool


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
        passphrase_file: Where the passphrase of encrypted private keys stands; read anew at each scan.
    """

    def __init__(self, path: Path, patterns: Iterable[str], passphrase_file: Path | None = None) -> None:
        self.path = path
        self._patterns = tuple(patterns)
        self._passphrase_file = passphrase_file
        self._passphrase: bytes | None = None
        self._known: dict[str, _Read] = {}

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
            reason = os.strerror(exc.errno or errno.EIO)
            raise DirectoryUnreadable(f"The directory {self.path} can't be read: {reason}; mend it.") from exc
        raise DirectoryUnreadable(f"The directory {self.path} was swapped during each of {_SWAPS_TOLERATED} reads.")

    def _refresh_passphrase(self) -> None:
        if self._passphrase_file is None:
            return
        try:
            passphrase = self._passphrase_file.read_bytes().rstrip(b"\r\n")
        except OSError:
            passphrase = None
        if passphrase != self._passphrase:
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
        self._known = known
        return Scan({name: known[name].file for name in sorted(known)}, said, volume=link is not None)

    def _read_folder(self, folder: int, base: str, depth: int) -> Iterator[tuple[str, _Read]]:
        """Read the key files of a folder and, within a volume, of the folders in it."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if depth and entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, folder) as below:
                        yield from self._read_folder(below, f"{base}{entry.name}/", depth - 1)
                elif any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in self._patterns):
                    name = base + entry.name
                    if read := self._look_at(entry, folder, name):
                        yield name, read

    def _look_at(self, entry: os.DirEntry[str], folder: int, name: str) -> _Read | None:
        """Read a file unless it is known; None where it has gone since it was listed."""
        known = self._known.get(name)
        try:
            status = entry.stat()
            if known and known.fingerprint == Fingerprint.of(status):
                return known
            return self._read(name, contents(entry.name, folder, status), status, known)
        except KeyFileError as error:
            return _Read(KeyFile(name, error=error))
        except FileNotFoundError:
            if not entry.is_symlink():
                return None
            return _Read(KeyFile(name, error=FileUnreadable("The link leads nowhere; mend it, or remove it.")))
        except OSError as exc:
            if exc.errno not in _FILE_ERRNOS:
                raise
            reason = os.strerror(exc.errno)
            return _Read(KeyFile(name, error=FileUnreadable(f"The file can't be read: {reason}; mend its mode.")))

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
        if exc.errno not in _FILE_ERRNOS:
            raise
        return PolicyInvalid(f"{policy.FILE_NAME} can't be read: {os.strerror(exc.errno)}; mend its mode.")


@contextmanager
def _opened(path: Path | str, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


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
