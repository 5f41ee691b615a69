"""The time that keys live by: it never goes back, whatever is done to the machine's clock."""

import threading
import time
from collections.abc import Callable

# Where the machine's clock was set back, this clock goes on at this rate until the other has come up to it.
_RATE = 0.75
# A forward step is larger than this; smaller ones are a clock that is adjusted to others.
_STEP_SECONDS = 0.1


class Clock:
    """Seconds since the epoch that never decrease.

    While the machine's clock is behind, this one goes on: a key that was published stays, and a grace period ends. A
    clock that is set forward is followed at once, as every ``publish_at`` asks for.

    Args:
        wall: The machine's clock.
        monotonic: What measures durations; None to use the forward steps of the machine's clock.

    Attributes:
        stepped: How many seconds it went forward, in steps, beyond the time that passed: the machine's clock was set,
            or the machine was suspended. Durations don't count these.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] | None = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic or wall
        self._lock = threading.Lock()  # the event loop asks, and the thread that reads
        self._last = wall()
        self._last_monotonic = self._monotonic()
        self.stepped = 0.0

    def __call__(self) -> float:
        """Return the time."""
        with self._lock:
            wall, monotonic = self._wall(), self._monotonic()
            elapsed = max(0.0, monotonic - self._last_monotonic)
            self._last_monotonic = monotonic
            if (step := wall - self._last - elapsed) > _STEP_SECONDS:
                self.stepped += step
            self._last = max(wall, self._last + _RATE * elapsed)
            return self._last
