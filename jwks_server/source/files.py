"""One file: what stat can tell of it, and its bytes within bounds."""

import os
import stat
import time
from dataclasses import dataclass

from jwks_server.errors import FileNotRegular, FileTooLarge

MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file does, as far as stat can tell."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take a file's fingerprint."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def may_hide_a_change(self) -> bool:
        """Tell whether a write could still come that leaves the times as they are.

        A filesystem's clock ticks every few milliseconds, in some every two seconds; two changes within one
        tick look like one.
        """
        tick_ns = 50_000_000 if self.ctime_ns % 1_000_000_000 else 2_000_000_000
        return time.time_ns() - self.ctime_ns < tick_ns


def contents(name: str, folder: int, status: os.stat_result) -> bytes:
    """Read a regular file; opening anything else could block, or set something off.

    Args:
        name: The file's name.
        folder: The open directory that it stands in.
        status: What stat said of it.

    Raises:
        FileNotRegular: It is a directory, a FIFO, a socket or a device.
        FileTooLarge: It has more than 64 KiB.
        OSError: It can't be opened or read.
    """
    if not stat.S_ISREG(status.st_mode):
        raise FileNotRegular("This is not a regular file; keep only key files under such a name.")
    if status.st_size > MAX_FILE_BYTES:
        raise FileTooLarge(f"The file has more than {MAX_FILE_BYTES} bytes; split it.")
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        data = file.read(MAX_FILE_BYTES + 1) or b""
    if len(data) > MAX_FILE_BYTES:
        raise FileTooLarge(f"The file has more than {MAX_FILE_BYTES} bytes; split it.")
    return data
