"""The descriptors that the kernel's events are read from, as watchfiles opens them: only watchfiles reads from them."""

import fcntl
import os
import struct
import termios
import threading
from collections.abc import Iterable
from contextlib import suppress

# watchfiles opens three descriptors.
_NEAR = 8
# fcntl(2): who gets the signal of a descriptor is a thread.
_F_SETOWN_EX = 15
_F_OWNER_TID = 0


def signals(descriptor: int) -> bool:
    """Have the kernel send SIGIO to this thread when there are events; return whether it can."""
    if descriptor < 0:
        return False
    try:
        fcntl.fcntl(descriptor, _F_SETOWN_EX, struct.pack("ii", _F_OWNER_TID, threading.get_native_id()))
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        return False
    return True


def waiting(descriptor: int) -> int:
    """Return how many bytes of events wait in the kernel; 0 if that isn't known."""
    if descriptor < 0:
        return 0
    try:
        (size,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))
    except OSError:
        return 0
    return int(size)


def near() -> range:
    """Return the numbers of the next descriptors, unless another thread opens some meanwhile."""
    descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
    os.close(descriptor)
    return range(descriptor, descriptor + _NEAR)


def descriptors() -> list[int]:
    """Return the numbers of all descriptors; none where the system has no /proc."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - they are numbers
    except OSError:
        return []


def among(numbers: Iterable[int]) -> set[int]:
    """Return those of the descriptors that the kernel's events are read from."""
    found = set()
    for one in numbers:
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{one}") == "anon_inode:inotify":  # noqa: PTH115 - of a number
                found.add(one)
    return found
