"""What has happened, in numbers: written by those who do it, read by the metrics and the status."""

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
        answers: By status and by the way in which they were made.
        accepted: Connections that were let in.
        refused: Connections for which there was no room.
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
    """How often something was done, and how long it took in all, in seconds."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Take in one more."""
        self.count += 1
        self.seconds += seconds


@dataclass(slots=True)
class Reloads:
    """What became of the looks at the key directory. Times are in seconds since the epoch.

    Attributes:
        outcomes: By trigger, and by ``published``, ``unchanged`` or ``failed``.
        whole: How long reloads took.
        scans: How long the directory's part of them took.
        last: The time, the trigger and the outcome of the last one that wasn't a mere rescan without a finding.
        last_success: When the directory was last read without a fault.
        faults: What is wrong now, by issuer.
        issuers: What was decided about each issuer, by its path.
        watch: How the directory is followed: ``events``, or ``rescan`` where there are none.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: Span = field(default_factory=Span)
    scans: Span = field(default_factory=Span)
    last: tuple[float, str, str] | None = None
    last_success: float | None = None
    faults: Mapping[str, tuple[JwksError, ...]] = field(default_factory=dict)
    issuers: Mapping[str, Evaluation] = field(default_factory=dict)
    watch: str = "events"

    def add(  # noqa: PLR0913 - what there is to tell of a reload
        self,
        reasons: Sequence[str],
        outcome: str,
        *,
        at: float,
        seconds: float,
        scan: float,
        faults: Mapping[str, tuple[JwksError, ...]],
    ) -> None:
        """Take in a reload.

        Args:
            reasons: The triggers.
            outcome: ``published``, ``unchanged`` or ``failed``.
            at: When it ended, in seconds since the epoch.
            seconds: How long it took.
            scan: How long the directory's part of it took, in seconds.
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
