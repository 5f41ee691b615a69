"""A directory's path -> what each of its key files holds. Private bytes never leave this module."""

import errno
import fnmatch
import hashlib
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jwks_server.errors import (
    DirectoryMissing,
    DirectoryUnreadable,
    FileNotRegular,
    FileTooLarge,
    FileUnreadable,
    KeyFileError,
)
from jwks_server.keys.keyset import KeyFile, read_file

MAX_FILE_BYTES = 64 * 1024
# The link that kubelet and the CSI driver swap; its rename is the only moment at which a volume is whole.
_DATA_LINK = "..data"
_SWAPS_TOLERATED = 8
# What is wrong with the file itself; any other OSError is the machine's, and must not cost a key.
_FILE_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    """What changes when a file does, as far as stat can tell."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "_Fingerprint":
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def may_hide_a_change(self) -> bool:
        """Tell whether a write could still come that leaves the times as they are.

        A filesystem's clock ticks every few milliseconds, in some every two seconds; two changes within one
        tick look like one.
        """
        tick_ns = 50_000_000 if self.ctime_ns % 1_000_000_000 else 2_000_000_000
        return time.time_ns() - self.ctime_ns < tick_ns


@dataclass(frozen=True, slots=True)
class _Read:
    """What is remembered of a file. Without a fingerprint it is read again, without a change in vain."""

    file: KeyFile
    fingerprint: _Fingerprint | None = None
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

    def read(self) -> tuple[KeyFile, ...]:
        """Read every key file, ordered by name. An unchanged file gives the same object again.

        Raises:
            DirectoryMissing: There is nothing at the path.
            DirectoryUnreadable: The path is no directory, it can't be listed, or it doesn't hold still.
        """
        self._refresh_passphrase()
        try:
            for _ in range(_SWAPS_TOLERATED):
                before = _data_target(self.path)
                files = self._scan(self.path / before if before else self.path)
                if _data_target(self.path) == before:
                    return files
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

    def _scan(self, root: Path) -> tuple[KeyFile, ...]:
        with os.scandir(root) as entries:
            wanted = sorted((entry for entry in entries if self._wants(entry.name)), key=lambda entry: entry.name)
        self._known = {entry.name: read for entry in wanted if (read := self._look_at(entry))}
        return tuple(read.file for read in self._known.values())

    def _wants(self, name: str) -> bool:
        return not name.startswith(".") and any(fnmatch.fnmatchcase(name, one) for one in self._patterns)

    def _look_at(self, entry: os.DirEntry[str]) -> _Read | None:
        """Read a file unless it is known; None where it has gone since it was listed."""
        known = self._known.get(entry.name)
        try:
            status = entry.stat()
            if known and known.fingerprint == _Fingerprint.of(status):
                return known
            return self._read(entry, status, known)
        except KeyFileError as error:
            return _Read(KeyFile(entry.name, error=error))
        except FileNotFoundError:
            if not entry.is_symlink():
                return None
            dangling = FileUnreadable("The link leads nowhere; mend it, or remove it.")
            return _Read(KeyFile(entry.name, error=dangling))
        except OSError as exc:
            if exc.errno not in _FILE_ERRNOS:
                raise
            unreadable = FileUnreadable(f"The file can't be read: {os.strerror(exc.errno)}; mend its mode or owner.")
            return _Read(KeyFile(entry.name, error=unreadable))

    def _read(self, entry: os.DirEntry[str], status: os.stat_result, known: _Read | None) -> _Read:
        data = _contents(entry.path, status)
        digest = hashlib.sha256(data).digest()
        file = known.file if known and known.digest == digest else read_file(entry.name, data, self._passphrase)
        fingerprint = _Fingerprint.of(status)
        return _Read(file, None if fingerprint.may_hide_a_change() else fingerprint, digest)


def _contents(path: str, status: os.stat_result) -> bytes:
    """Read a regular file of bounded size; opening anything else could block or set something off."""
    if not stat.S_ISREG(status.st_mode):
        raise FileNotRegular("This is not a regular file; keep only key files under such a name.")
    if status.st_size > MAX_FILE_BYTES:
        raise FileTooLarge(f"The file has {status.st_size} bytes, and {MAX_FILE_BYTES} is the limit; split it.")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise FileTooLarge(f"The file has grown over the limit of {MAX_FILE_BYTES} bytes; split it.")
    return data


def _data_target(path: Path) -> str | None:
    """Read the link of a Kubernetes volume; None where the directory is not one."""
    try:
        return os.readlink(path / _DATA_LINK)  # noqa: PTH115 - the target as it stands is what is compared
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # a directory of that name, not a link
            return None
        raise
