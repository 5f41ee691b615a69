"""Memory that closed connections leave behind goes back to the system: glibc keeps it otherwise."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress

# So many connections are a wave; a few leave nothing behind that the next ones would not need.
_WAVE = 128
_PAUSE_SECONDS = 5.0
_M_ARENA_MAX = -8  # malloc.h


class FreedMemory:
    """Trims the heap after a wave of connections, where the C library can.

    Attributes:
        closed: How many connections were closed since the last time.
    """

    def __init__(self) -> None:
        self.closed = 0
        self._last = 0.0

    def give_back(self, now: float) -> None:
        """Return free memory to the system, if a burst is over and the last time is long enough ago.

        Args:
            now: The event loop's time.
        """
        if self.closed >= _WAVE and now - self._last >= _PAUSE_SECONDS:
            self.closed, self._last = 0, now
            if _trim:
                _trim(0)


def keep_one_heap() -> None:
    """Let all threads share a heap, where the C library can: each has one of its own otherwise, with its own gaps.

    Each reload runs in threads of its own. With 10,000 keys, the gaps come to 20 MiB after a few reloads.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _find_trim() -> Callable[[int], object] | None:
    if sys.platform != "linux":
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


_trim = _find_trim()
