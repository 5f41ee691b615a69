"""Moments as text."""

import pytest

from jwks_server.keys.instants import utc


@pytest.mark.parametrize(
    ("instant", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (1_800_000_000.25, "2027-01-15T08:00:00.250Z")],
)
def test_times(instant: float, text: str) -> None:
    """Times are written as RFC 3339 in UTC, to the millisecond."""
    assert utc(instant) == text
