"""Times in words, and their places on the time line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.serving.page.moments import day, duration, moment, place, relative

_TIMES = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (754, "12 min 34 s"),
        (3600, "1 h"),
        (11_100, "3 h 5 min"),
        (86_400, "1 d"),
        (12 * 86_400 + 3600 * 4, "12 d 4 h"),
        (30 * 86_400 + 3600 * 4, "30 d"),
        (4000 * 86_400, "4000 d"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """Two units at most, and one where the smaller says nothing."""
    assert duration(seconds) == words


def test_relative() -> None:
    """Before, after and now."""
    assert [relative(one, 100) for one in (30, 99.5, 100, 100.9, 165)] == [
        "1 min 10 s ago",
        "now",
        "now",
        "now",
        "in 1 min 5 s",
    ]


def test_moment() -> None:
    """A time is there for people and for machines."""
    assert moment(60, 0) == '<time datetime="1970-01-01T00:01:00.000Z" title="1970-01-01 00:01:00 UTC">in 1 min</time>'
    assert day(60) == "1970-01-01 00:01:00 UTC"


@given(_TIMES, _TIMES)
def test_places_are_in_order(one: float, other: float) -> None:
    """Now is in the middle, both sides are alike, and the earlier of two times is never to the right."""
    assert place(0, 0) == 50
    assert 0 <= place(one, 0) <= 100
    assert place(one, 0) + place(-one, 0) == pytest.approx(100)
    assert (place(min(one, other), 0)) <= place(max(one, other), 0)
