"""The replicas' answers, round by round -> whether a key may be used for signing, or is gone. No clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    """An address behind a URL; the address is empty if the URL's host has none."""

    url: str
    address: str = ""

    def __str__(self) -> str:
        return f"{self.url} at {self.address}" if self.address else self.url


@dataclass(frozen=True, slots=True)
class ReplicaAnswer:
    """What a replica answered.

    Attributes:
        serves: Whether the key was in its set; None if there was no set.
        max_age: How long caches may keep the answer, in seconds.
        reason: Why there was no set.
    """

    serves: bool | None
    max_age: int = 0
    reason: str = ""

    def __str__(self) -> str:
        return self.reason or ("serves the key" if self.serves else "doesn't serve the key")


# The answer of a replica that has not answered yet.
UNANSWERED = ReplicaAnswer(None, reason="has not answered yet")


class Gate:
    """Opens when every replica serves a key, or with ``gone`` when no replica serves it.

    From the moment of a wrong answer, caches may keep it, so the time counts from the last one. A replica that can't
    be reached keeps the gate shut. But it sends no wrong answer either, so the time goes on.

    Args:
        gone: Whether to wait for the key's removal.
        propagation: How long the slowest verifier takes to see the key after max-age, in seconds; None to not wait for
            verifiers.
        published_at: From when their time counts, in seconds since the epoch; None counts from ``since``.

    Attributes:
        answers: The last answer of each replica.
        since: When all answers were right for the first time; None while one is wrong.
    """

    def __init__(
        self, *, gone: bool = False, propagation: float | None = None, published_at: float | None = None
    ) -> None:
        self.answers: Mapping[Replica, ReplicaAnswer] = {}
        self.since: float | None = None
        self._wanted = not gone
        self._propagation = propagation
        self._published_at = published_at
        self._max_age = 0

    @property
    def waiting(self) -> Mapping[Replica, ReplicaAnswer]:
        """The replicas whose answer is wrong or missing."""
        return {replica: answer for replica, answer in self.answers.items() if answer.serves is not self._wanted}

    @property
    def opens_at(self) -> float | None:
        """When the gate opens if nothing changes; None while an answer is wrong or missing."""
        if self.since is None or self.waiting:
            return None
        if self._propagation is None:
            return self.since
        start = self.since if self._published_at is None else self._published_at
        return max(self.since, start + self._max_age + self._propagation)

    def note_partial(self, answers: Mapping[Replica, ReplicaAnswer]) -> None:
        """Note the answers in the middle of a round. They can start the time again, but never open the gate.

        Args:
            answers: The last answers of all known replicas.
        """
        self.answers = answers
        self._max_age = max([self._max_age, *(answer.max_age for answer in answers.values())])
        if any(answer.serves is (not self._wanted) for answer in answers.values()):
            self.since = None

    def note_round(self, answers: Mapping[Replica, ReplicaAnswer], now: float) -> None:
        """Note the answers of a whole round.

        Args:
            answers: The answers of all replicas that exist now.
            now: When the last answer came, in seconds since the epoch.
        """
        self.note_partial(answers)
        if self.since is None and answers and not self.waiting:
            self.since = now
