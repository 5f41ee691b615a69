"""Times as people and machines read them."""

from datetime import UTC, datetime


def utc(instant: float) -> str:
    """Write a time as RFC 3339 in UTC."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
