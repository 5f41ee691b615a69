"""Counters: incremented where something happens, read by the metrics and the status."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from jwks_server.errors import JwksError
from jwks_server.keys.evaluation import Evaluation

ServedBy = Literal["cache", "application"]
Deadline = Literal["head", "idle", "body", "write", "handshake"]


# Most answers take less than 1 ms; clients give up after 500 ms.
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(slots=True)
class Histogram:
    """How many durations are in each range, and their sum in seconds.

    Attributes:
        counts: For each bound how many durations are up to it and over the one before; then those over the last.
        seconds: Their sum.
    """

    bounds: ClassVar[Sequence[float]] = _BOUNDS
    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Add one more."""
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.seconds += seconds


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
        durations: How long the application took for each of its answers.
        lateness: How late the event loop was, once a second: what a client may have waited in addition.
    """

    answers: Counter[tuple[int, ServedBy]] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    evicted: int = 0
    timed_out: Counter[Deadline] = field(default_factory=Counter)
    bad_requests: Counter[str] = field(default_factory=Counter)
    durations: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class Span:
    """How often something was done, and its total duration in seconds."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Add one more."""
        self.count += 1
        self.seconds += seconds


class IssuerReload(NamedTuple):
    """What an issuer's last reload gave, leaving out those that changed nothing.

    Attributes:
        at: When it was, in seconds since the epoch.
        outcome: ``published``, ``unchanged`` or ``failed``.
        failing_since: Since when each one has failed; None if the last one did not.
    """

    at: float
    outcome: str
    failing_since: float | None


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
        last_scan: When the whole key directory was last read, whatever was found in it.
        faults: What is wrong now, by issuer.
        issuers: What was decided about each issuer, by its path.
        of_issuers: The last reload of each issuer, by its path.
        too_early: When the first key of an issuer whose keys were all replaced is safe to sign with, by its path.
        watch: How the directory is followed: ``events``, or ``rescan`` if the kernel may not report all changes.
        pace: How often it is read when there is no event.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: Span = field(default_factory=Span)
    scans: Span = field(default_factory=Span)
    last: tuple[float, str, str] | None = None
    last_success: float | None = None
    last_scan: float | None = None
    faults: Mapping[str, tuple[JwksError, ...]] = field(default_factory=dict)
    issuers: Mapping[str, Evaluation] = field(default_factory=dict)
    of_issuers: dict[str, IssuerReload] = field(default_factory=dict)
    too_early: Mapping[str, float] = field(default_factory=dict)
    watch: Literal["events", "rescan"] = "events"
    pace: Pace | None = None

    def add_issuer(self, issuer: str, outcome: str, at: float) -> None:
        """Add an issuer's part of a reload; one that is like the last is left out."""
        last = self.of_issuers.get(issuer)
        if last and outcome == last.outcome == "failed":
            return
        if last and outcome == "unchanged" and last.outcome != "failed":
            return
        self.of_issuers[issuer] = IssuerReload(at, outcome, at if outcome == "failed" else None)

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
