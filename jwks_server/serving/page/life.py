"""A key -> the spans of its life and what comes next. One function decides; time line, table and countdown show it."""

from typing import Literal, NamedTuple

from jwks_server.keys.keyset import Key
from jwks_server.keys.kinds import Use

Phase = Literal["pending", "published", "safe", "retiring", "gone"]


class Span(NamedTuple):
    """A part of a key's life; its begin and end are in seconds since the epoch, None for no known one."""

    phase: Phase
    begin: float | None
    end: float | None


class Moment(NamedTuple):
    """When something becomes of a key, in seconds since the epoch."""

    at: float
    becomes: str


def word(phase: Phase, use: Use = "sig") -> str:
    """Name a part of a key's life; nobody signs with a key for encryption."""
    return f"safe to {'sign' if use == 'sig' else 'use'}" if phase == "safe" else phase


def spans(key: Key) -> tuple[Span, ...]:
    """List the parts of a key's life, in order; those without a length are left out."""
    out, since = key.retires_at, key.retiring_since
    into = key.publish_at if key.state == "pending" else key.first_published
    safe = key.safe_to_sign_at
    last = since if key.state == "retiring" and since is not None else out
    parts = [
        Span("pending", None, into) if key.state == "pending" else None,
        Span("published", into, _first(safe, last)),
        Span("safe", safe, last) if safe is not None else None,
        Span("retiring", since, out) if key.state == "retiring" else None,
        Span("gone", out, None) if out is not None else None,
    ]
    return tuple(one for one in parts if one and (one.begin is None or one.end is None or one.begin < one.end))


def phase(key: Key, now: float) -> Phase:
    """Return which part of its life a key is in."""
    if key.retires_at is not None and key.retires_at <= now:
        return "gone"  # a moment before the set is replaced
    if key.state == "published":
        return "safe" if key.safe_to_sign_at is not None and key.safe_to_sign_at <= now else "published"
    return key.state


def moments(key: Key) -> tuple[Moment, ...]:
    """List when something becomes of a key, in order."""
    found = [
        Moment(key.publish_at, "is published") if key.state == "pending" and key.publish_at is not None else None,
        Moment(key.safe_to_sign_at, f"is {word('safe', key.use)}")
        if key.state != "retiring" and key.safe_to_sign_at is not None
        else None,
        Moment(key.retires_at, "leaves the set") if key.retires_at is not None else None,
    ]
    last = key.retires_at
    return tuple(sorted(one for one in found if one and (last is None or one.at <= last)))


def _first(one: float | None, other: float | None) -> float | None:
    return min((at for at in (one, other) if at is not None), default=None)
