"""How long a cache may use a reply: the value of Cache-Control at a moment."""

import math
from dataclasses import dataclass

from jwks_server.keys.keyset import KeySet

# How long a cache may go on with a set that is not fresh any more if the server fails (RFC 5861 section 4).
STALE_IF_ERROR_SECONDS = 86400
# A reply may be sent until this long after its header was made: the response cache makes it once a second.
_MADE_BEFORE_SECONDS = 1
# Caches count whole seconds, some of them up to the end of the last one.
_COUNTED_SECONDS = 1
# Until the reply has arrived at the cache: the network, a queue, a process that got no processor.
_TRAVEL_SECONDS = 1
_MARGIN_SECONDS = _MADE_BEFORE_SECONDS + _COUNTED_SECONDS + _TRAVEL_SECONDS


@dataclass(frozen=True, slots=True)
class Freshness:
    """What limits the use of a reply. Times are in seconds since the epoch.

    Attributes:
        max_age: How long a cache may keep it, in seconds, where no change is near.
        next_change: When time alone will change it; None if never.
        next_removal: When time alone will take a key away; None if never.
    """

    max_age: int
    next_change: float | None = None
    next_removal: float | None = None

    def cache_control(self, now: float) -> str:
        """Return the value of Cache-Control in replies that are sent within a second from now.

        No cache uses a reply past the next change. In a cache, a reply is fresh while its age is less than
        ``max-age`` (RFC 9111 section 4.2). Its age is counted from Date or from when it arrived, whichever gives more
        (section 4.2.3); where the clocks agree or the cache's is behind, that is when it arrived. A reply that was
        made at ``now`` is sent at ``now + 1`` at the latest, and arrives within another second. Ages are whole
        seconds, so that a fresh one is up to a second older than it says; and some caches (nginx) use a reply also
        while its age is equal to ``max-age``, which is at most one second more in all. So the last use is before
        ``now + 1 + 1 + max-age + 1``, and ``max-age`` may be ``next_change - now - 3``, rounded down. A cache that
        counts from its request, as section 4.2.3 asks for, has as much time for the reply's way as it takes.

        ``stale-if-error`` lets a cache go on with a set while the server fails. A set without a key that was due is
        still of use then, but a key that was removed must not come back: the whole time ends before the next removal.
        """
        max_age = _within(self.max_age, self.next_change, now)
        stale = _within(max_age + STALE_IF_ERROR_SECONDS, self.next_removal, now) - max_age
        return f"public, max-age={max_age}, stale-if-error={max(0, stale)}"


def freshness(keyset: KeySet) -> Freshness:
    """Take what limits the use of a set's pages out of the set."""
    # A key that is held stays in the set although its time is over.
    removals = () if keyset.held else [key.retires_at for key in keyset.keys if key.retires_at is not None]
    return Freshness(
        keyset.policy.max_age,
        None if keyset.next_change is None else float(keyset.next_change),
        min(map(float, removals), default=None),
    )


def _within(seconds: int, end: float | None, now: float) -> int:
    return seconds if end is None else max(0, min(seconds, math.floor(end - now) - _MARGIN_SECONDS))
