"""Times as the page shows them: in words, and as places on a time line with now in its middle.

``page.js`` has the same two rules, so that an open page goes on without the server.
"""

import math

from jwks_server.keys.instants import utc
from jwks_server.serving.page.html import Html, element

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# The units of a duration, with the one below each: 3 h 5 min.
_UNITS = ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s"))
# From here on the smaller unit says nothing.
_LONG_DAYS = 30

# The time line's scale is logarithmic on both sides: minutes and months both have room.
_UNIT_SECONDS = 300.0
_REACH_SECONDS = 90.0 * _DAY
TICKS = ((_HOUR, "1 h"), (_DAY, "1 d"), (7 * _DAY, "7 d"), (30 * _DAY, "30 d"))


def duration(seconds: float) -> str:
    """Write a duration in words, with two units at most."""
    whole = int(seconds)
    for size, name, below, below_name in _UNITS:
        if whole >= size:
            count, rest = divmod(whole, size)
            if size == _DAY and count >= _LONG_DAYS:
                return f"{count} d"
            return f"{count} {name}" + (f" {rest // below} {below_name}" if rest // below else "")
    return f"{whole} s"


def relative(instant: float, now: float) -> str:
    """Write a time as its distance from now."""
    if abs(instant - now) < 1:
        return "now"
    return f"in {duration(instant - now)}" if instant > now else f"{duration(now - instant)} ago"


def moment(instant: float, now: float) -> Html:
    """Write a time as its distance from now, which an open page counts down."""
    return element("time", relative(instant, now), datetime=utc(instant), title=day(instant))


def day(instant: float) -> str:
    """Write a time in UTC, to the second."""
    return utc(instant)[:19].replace("T", " ") + " UTC"


def place(instant: float, now: float) -> float:
    """Return a time's place on the time line, in percent."""
    away = instant - now
    part = math.log1p(min(abs(away), _REACH_SECONDS) / _UNIT_SECONDS) / math.log1p(_REACH_SECONDS / _UNIT_SECONDS)
    return 50 + math.copysign(50 * part, away)
