"""A file that only one process at a time writes: it is locked, and replaced atomically. Opening it never blocks."""

import errno
import fcntl
import os
import stat
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jwks_server import atomic
from jwks_server.source.way import real

# Some network filesystems have no locks. The drafts have names of their own there too, so nothing is torn.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


class Locked(OSError):
    """Another process writes the file."""


class Owned:
    """A file at a path, or where the link at the path leads.

    The lock is a file beside it, ``.NAME.lock``, that stays when the process ends. The lock itself does not.

    Args:
        path: The file or link; it may be missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: tuple[Path, int, Callable[[], object]] | None = None

    @property
    def target(self) -> Path:
        """Where the file is."""
        return Path(real(self._path))

    def close(self) -> None:
        """Let another process write the file."""
        if self._lock:
            self._lock[2]()
            self._lock = None

    def read(self) -> bytes:
        """Read the file.

        Raises:
            FileNotFoundError: There is no such file.
            OSError: It is not a regular file, or it can't be read.
        """
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _insist_on_regular(os.fstat(descriptor))
            return file.read()

    def acquire(self) -> bool:
        """Take the lock, unless this process has it.

        Returns:
            Whether it was taken just now, so that another process may have written the file before.

        Raises:
            Locked: Another process has it.
            OSError: The lock can't be made.
        """
        path = self.target.with_name(f".{self.target.name}.lock")
        if self._lock and self._lock[0] == path and _is_at(path, self._lock[1]):
            return False
        self.close()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(descriptor)
            raise Locked("another process writes it") from exc
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                os.close(descriptor)
                raise
        else:
            self._remove_drafts()
        self._lock = path, descriptor, weakref.finalize(self, os.close, descriptor)
        return True

    def write(self, data: bytes) -> None:
        """Replace the file. After a crash it is the old or the new one.

        Raises:
            OSError: It can't be written, or there is something else than a regular file.
        """
        with suppress(FileNotFoundError):
            _insist_on_regular(self.target.stat())
        atomic.write(self.target, data, unique=True)

    def _remove_drafts(self) -> None:
        """Remove what processes that were killed have left."""
        target = self.target
        for name in os.listdir(target.parent):  # noqa: PTH208 - names are enough
            if name.startswith(f".{target.name}.") and name.endswith(".draft"):
                target.with_name(name).unlink(missing_ok=True)


def _insist_on_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a regular file")


def _is_at(path: Path, descriptor: int) -> bool:
    """Report whether the open file is still the one at the path."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False
