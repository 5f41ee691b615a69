"""Counters: incremented where something happens, read by the metrics and the status."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jwks_server.errors import JwksError
from jwks_server.keys.evaluation import Evaluation

ServedBy = Literal["cache", "application"]
Deadline = Literal["head", "idle", "body", "write", "handshake"]


@dataclass(slots=True)
class Traffic:
    """What a listener's clients did.

    Attributes:
        answers: By status and by what served them.
        accepted: Connections that were admitted.
        refused: Connections that were refused at the limit.
        evicted: Connections that were closed to make room.
        timed_out: Connections that were closed at a deadline.
        bad_requests: By what was wrong with them.
    """

    answers: Counter[tuple[int, ServedBy]] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    evicted: int = 0
    timed_out: Counter[Deadline] = field(default_factory=Counter)
    bad_requests: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Span:
    """How often something was done, and its total duration in seconds."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Add one more."""
        self.count += 1
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the directory is read when there is no event.

    Attributes:
        every: In seconds.
        reason: Why.
    """

    every: float
    reason: str


@dataclass(slots=True)
class Reloads:
    """The outcomes of the reloads. Times are in seconds since the epoch.

    Attributes:
        outcomes: By trigger, and by ``published``, ``unchanged`` or ``failed``.
        whole: The durations of the reloads.
        scans: The durations of their scans of the directory.
        last: The time, the trigger and the outcome of the last one, periodic rescans without a change left out.
        last_success: When a reload last found no fault.
        faults: What is wrong now, by issuer.
        issuers: What was decided about each issuer, by its path.
        watch: How the directory is followed: ``events``, or ``rescan`` if the kernel may not report all changes.
        pace: How often it is read when there is no event.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: Span = field(default_factory=Span)
    scans: Span = field(default_factory=Span)
    last: tuple[float, str, str] | None = None
    last_success: float | None = None
    faults: Mapping[str, tuple[JwksError, ...]] = field(default_factory=dict)
    issuers: Mapping[str, Evaluation] = field(default_factory=dict)
    watch: Literal["events", "rescan"] = "events"
    pace: Pace | None = None

    def add(  # noqa: PLR0913 - the facts of a reload
        self,
        reasons: Sequence[str],
        outcome: str,
        *,
        at: float,
        seconds: float,
        scan: float,
        faults: Mapping[str, tuple[JwksError, ...]],
    ) -> None:
        """Add a reload.

        Args:
            reasons: The triggers.
            outcome: ``published``, ``unchanged`` or ``failed``.
            at: When it ended, in seconds since the epoch.
            seconds: Its duration in seconds.
            scan: The duration of its scan, in seconds.
            faults: What is wrong now, by issuer.
        """
        for reason in reasons:
            self.outcomes[reason, outcome] += 1
        self.whole.add(seconds)
        self.scans.add(scan)
        if outcome != "unchanged" or list(reasons) != ["period"]:
            self.last = at, "+".join(reasons), outcome
        if not faults:
            self.last_success = at
        self.faults = faults
