"""One issuer: its last evaluation, and what that publishes."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from jwks_server.errors import IssuerNameInvalid
from jwks_server.keys.changes import Change, changes, new_findings
from jwks_server.keys.evaluate import evaluate
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.keyset import KeySet
from jwks_server.keys.lint import lint
from jwks_server.keys.stepped import stepped
from jwks_server.published.catalog import Entry
from jwks_server.published.pages import Endpoint, pages
from jwks_server.source.directory import Seen
from jwks_server.source.mounts import Mount, subpaths


@dataclass(frozen=True, slots=True)
class News:
    """What a step gives.

    Attributes:
        entry: What to publish, if it is not what is published.
        changes: What to log.
        gone: Whether the issuer is gone.
        decided: Whether there was something to decide.
    """

    entry: Entry | None = None
    changes: tuple[Change, ...] = ()
    gone: bool = False
    decided: bool = False


class Issuer:
    """Holds what was decided about an issuer. Everything is decided by ``evaluate``.

    Args:
        path: The issuer's path: ``/``, or ``/`` and its folder's name.
        folder: Where its keys are.
        rules: What the operator decided at the start.
        endpoint: Where and how its set is served.
        remembered: What it published before a restart.
    """

    def __init__(self, path: str, folder: Path, rules: Rules, endpoint: Endpoint, remembered: KeySet | None) -> None:
        self.path = path
        self.folder = folder
        self.evaluation = Evaluation(remembered)
        self._lock = threading.Lock()
        self._rules = rules
        self._endpoint = endpoint

    @property
    def awaited(self) -> bool:
        """Whether it will have pages as soon as it has a good key."""
        return IssuerNameInvalid.code not in self.evaluation.faults

    @property
    def waits_for(self) -> Collection[str] | None:
        """The names of the files that must be looked at when its time has come; None for the whole folder."""
        evaluation = self.evaluation
        return None if evaluation.wrong or evaluation.gone_since is not None else evaluation.stand_ins.keys()

    def step(self, seen: Seen | None, now: float, served: Entry | None, *, alone: bool) -> News:
        """Take in an observation, and the time.

        Args:
            seen: What the folder holds, or what is wrong with it; None if it was not observed.
            now: In seconds since the epoch.
            served: What is published now.
            alone: Whether this is the only issuer; it then stays one even if its folder holds nothing.
        """
        while True:
            before = self.evaluation
            after, news = self.decide(before, seen, now, served, alone=alone)
            if self.replace(before, after):
                return news

    def replace(self, before: Evaluation, after: Evaluation) -> bool:
        """Put an evaluation in force, unless another one has come between: this thread and the schedule may race."""
        with self._lock:
            if self.evaluation is not before:
                return False
            self.evaluation = after
            return True

    def step_forward(self, seconds: float) -> bool:
        """Take note that the time went forward by more than what passed; report whether something waits."""
        while True:
            before = self.evaluation
            after = stepped(before, seconds)
            if self.replace(before, after):
                return after is not before

    def decide(
        self, before: Evaluation, seen: Seen | None, now: float, served: Entry | None, *, alone: bool
    ) -> tuple[Evaluation, News]:
        """Evaluate without putting anything in force; the arguments are those of ``step``.

        A time before the last evaluation counts as that: the schedule may have moved on while a directory was read.
        """
        if before.decided_at is not None:
            now = max(now, before.decided_at)
        after = evaluate(seen, before, now, self._rules, place=str(self.folder), alone=alone)
        if after is before:
            return after, News()
        decided = after.keyset is not before.keyset or (after.decided_at, after.verdicts) != (
            before.decided_at,
            before.verdicts,
        )
        if not decided and not after.gone:
            return after, News()
        return after, News(self._entry(after.served, served), tuple(changes(before, after)), after.gone, decided)

    def _entry(self, keyset: KeySet | None, served: Entry | None) -> Entry | None:
        if keyset is None or (served and served.keyset is keyset):
            return None
        return Entry(keyset, pages(self.path, keyset, self._endpoint, served.pages if served else {}))

    def lint(self, mounts: Collection[Mount], now: float) -> tuple[Change, ...]:
        """Check what was decided; return the findings that are new."""
        while True:
            before = self.evaluation
            after = replace(before, findings=lint(before, subpaths(self.folder, mounts), now))
            if self.replace(before, after):
                return tuple(new_findings(before, after))
