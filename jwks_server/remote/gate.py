"""What replicas answered, round by round -> whether a key may be signed with, or is gone. No clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    """An address behind a URL; without one where the URL's host has none."""

    url: str
    address: str = ""

    def __str__(self) -> str:
        return f"{self.url} at {self.address}" if self.address else self.url


@dataclass(frozen=True, slots=True)
class Sight:
    """What a replica answered.

    Attributes:
        serves: Whether the key was in its set; None where it gave no set.
        max_age: How long caches may keep the answer, in seconds.
        reason: Why it gave no set.
    """

    serves: bool | None
    max_age: int = 0
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or ("serves the key" if self.serves else "is without the key")


# What stands for a replica until it answers.
SILENT = Sight(None, reason="has not answered yet")


class Gate:
    """Opens when every replica serves a key, or with ``gone`` when none does.

    An answer that is not as wanted may sit in caches from then on, so the time counts from the last one. A replica
    that can't be reached keeps the gate shut, but hands nothing out, so the time goes on.

    Args:
        gone: Whether the key's removal is waited for.
        propagation: How long the slowest verifier takes to see the key, beyond max-age, in seconds; None where
            verifiers aren't waited for.
        published_at: From when their time counts, in seconds since the epoch; None counts from ``since``.

    Attributes:
        sights: What each replica answered last.
        since: When all of them were first seen as wanted; None while they aren't.
    """

    def __init__(
        self, *, gone: bool = False, propagation: float | None = None, published_at: float | None = None
    ) -> None:
        self.sights: Mapping[Replica, Sight] = {}
        self.since: float | None = None
        self._wanted = not gone
        self._propagation = propagation
        self._published_at = published_at
        self._max_age = 0

    @property
    def waiting(self) -> Mapping[Replica, Sight]:
        """The replicas that are not as wanted."""
        return {replica: sight for replica, sight in self.sights.items() if sight.serves is not self._wanted}

    @property
    def opens_at(self) -> float | None:
        """When the gate opens, if all stays as it is; None while a replica isn't as wanted."""
        if self.since is None or self.waiting:
            return None
        if self._propagation is None:
            return self.since
        start = self.since if self._published_at is None else self._published_at
        return max(self.since, start + self._max_age + self._propagation)

    def glimpse(self, sights: Mapping[Replica, Sight]) -> None:
        """Take in what came of a round so far: enough to count anew, never enough to open.

        Args:
            sights: The last answers of all replicas that are known.
        """
        self.sights = sights
        self._max_age = max([self._max_age, *(sight.max_age for sight in sights.values())])
        if any(sight.serves is (not self._wanted) for sight in sights.values()):
            self.since = None

    def take(self, sights: Mapping[Replica, Sight], now: float) -> None:
        """Take in what a round of questions gave.

        Args:
            sights: The answers of all replicas that there are now.
            now: When the last of them came, in seconds since the epoch.
        """
        self.glimpse(sights)
        if self.since is None and sights and not self.waiting:
            self.since = now
