"""How many answers the public listener gives a second. It is computed when somebody looks, from counters."""

from collections import deque
from typing import NamedTuple

from jwks_server.stats import ServedBy, Traffic

# Over how long a mean is taken while somebody looks; otherwise since the last look.
_WINDOW_SECONDS = 10.0
_STEP_SECONDS = 0.9


class Line(NamedTuple):
    """The answers with one status from one place: how many a second, and in total."""

    status: int
    served_by: ServedBy
    rate: float
    total: int


class Rates(NamedTuple):
    """The answers by status and by what served them, over a number of seconds."""

    lines: tuple[Line, ...]
    seconds: float


class Meter:
    """Keeps what the counters were at the last looks.

    Args:
        traffic: The counters.
        began: When they began, by the same clock as each look.
    """

    def __init__(self, traffic: Traffic, began: float) -> None:
        self._traffic = traffic
        self._looks: deque[tuple[float, dict[tuple[int, ServedBy], int]]] = deque([(began, {})])

    def look(self, now: float) -> Rates:
        """Return the mean since the first look of the last ten seconds; if there was none, since the last one."""
        answers = dict(self._traffic.answers)
        while (
            len(self._looks) > 1
            and self._looks[0][0] < now - _WINDOW_SECONDS
            and self._looks[1][0] <= now - _STEP_SECONDS
        ):
            self._looks.popleft()
        begun, before = self._looks[0]
        if now - self._looks[-1][0] >= _STEP_SECONDS:
            self._looks.append((now, answers))
        seconds = now - begun
        lines = (
            Line(status, by, (number - before.get((status, by), 0)) / seconds if seconds > 0 else 0.0, number)
            for (status, by), number in sorted(answers.items())
        )
        return Rates(tuple(lines), seconds)
