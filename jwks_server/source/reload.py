"""Trigger -> observe -> evaluate -> publish. The only writer of the catalog."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

from jwks_server.errors import SourceError
from jwks_server.keys.changes import Change
from jwks_server.keys.evaluation import Rules
from jwks_server.keys.keyset import KeySet
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import ROOT, Catalog, Edition, Entry
from jwks_server.published.pages import Endpoint
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.issuers import Issuers, Step
from jwks_server.source.keeper import Keeper
from jwks_server.source.remembered import Remembered
from jwks_server.source.report import Report
from jwks_server.source.rescan import Rescan
from jwks_server.source.schedule import Schedule, is_new
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Hint, Trigger, Triggers, everything, named
from jwks_server.stats import Reloads
from jwks_server.threads import in_thread

# What the next edition changes: the entries by their issuer's path, and who is awaited.
_Changes = tuple[Mapping[str, Entry | None], frozenset[str]]


class Reloader:
    """Keeps the catalog equal to what the directory says, and to what the time makes of it.

    Only what an event is about is observed, and only an issuer with a change, or whose time has come, is evaluated and
    rendered again. Everything that one observation gave is published at once.

    Args:
        directory: Where the key files are.
        defaults: What the operator decided, where a ``jwks.toml`` says nothing.
        catalog: What is served; written here and nowhere else.
        endpoint: Where and how each set is served.
        timing: How long things take.
        state: What is remembered across restarts.
        reloads: Counts what becomes of each reload, and holds the evaluations for status and metrics.
        done: Called after each reload that a trigger asked for.
        clock: The time that the keys live by, in seconds since the epoch; None for one of its own.

    Attributes:
        started: Set after the first observation of the directory, whatever it gave.
        state: Writes what is remembered across restarts; a task of its own must run it.
        rescan: The pace of the observations without an event.
    """

    def __init__(  # noqa: PLR0913 - the parts that it ties together
        self,
        directory: Directory,
        defaults: Policy,
        catalog: Catalog,
        endpoint: Endpoint,
        *,
        timing: Timing,
        state: StateFile | None = None,
        reloads: Reloads | None = None,
        done: Callable[[frozenset[Trigger]], Awaitable[None]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.started = asyncio.Event()
        self._directory = directory
        self._catalog = catalog
        rules = Rules(defaults, timing.grace_period, timing.propagation)
        remembered, reloads = Remembered(state), reloads or Reloads()
        self._issuers = Issuers(directory, rules, endpoint, remembered)
        self._report = Report(directory, catalog, reloads)
        self.state = Keeper(remembered, self._report.state_changed)
        self.rescan = Rescan(timing.rescan, reloads)
        self._done = done
        self._clock = clock or Clock()
        self._stepped = self._clock.stepped
        self._schedule = Schedule(self._issuers.by_path, catalog, self._clock)
        self._cost = 0.0
        self._whole_cost = 0.0

    async def run(self, triggers: Triggers) -> None:
        """Reload now, and whenever a trigger arrives or the time has come, one reload at a time, without end."""
        gc.disable()  # what the first load makes stays, so a collection would find nothing
        try:
            await self.reload()
        finally:
            gc.freeze()
            gc.enable()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._schedule.keep(triggers), name="schedule")
            tasks.create_task(self._schedule.prepare(), name="prepare")
            while True:
                arrived = await triggers.get()
                await self.reload(arrived)
                if self._done:
                    await self._done(frozenset(hint.trigger for hint in arrived))
                if any(hint.trigger is not Trigger.PERIOD for hint in arrived):
                    await asyncio.sleep(self._cost)  # a storm of events gets half a core at most

    async def reload(self, hints: Collection[Hint] = ()) -> None:
        """Publish what the directory holds now. Where that fails, the last good sets stay.

        Args:
            hints: What to look at; none to observe everything.
        """
        began = time.monotonic()
        now = self._clock()
        if step := self._clock.stepped - self._stepped:
            self._stepped += step
            self._schedule.note(self._issuers.step_forward(step))
        # The schedule has handed over some that are due, and names the others.
        due = {hint.issuer for hint in hints} | self._schedule.due(now)
        base, steps, changes = await in_thread(partial(self._load, hints, due, self._schedule.take_swapped()))
        began_here = time.thread_time()
        if self._catalog.current is not base:  # the schedule has published meanwhile
            changes = self._changes(steps, self._catalog.current)
        if changes:
            self._catalog.publish(*changes)
        self._schedule.note(step.issuer.path for step in steps)
        self._report.show(steps, self._issuers.by_path)
        self._report.record(hints, steps, at=self._clock(), seconds=time.monotonic() - began, scan=self._cost)
        self.state.wake()
        if everything(hints):
            cost = self._whole_cost + time.thread_time() - began_here
            self.rescan.read(cost, changed=any(step.news.decided for step in steps))
        decided = [step.issuer.path for step in steps if step.news.decided and not step.news.gone]
        # Clients don't wait for this: what it looks over is published.
        findings = await in_thread(partial(self._look_over, steps, decided)) if steps else {}
        self._schedule.note(decided)
        if findings:
            self._report.show(steps, self._issuers.by_path)
        await self._report.log(steps, findings)
        self.started.set()  # after the log of the start, which is short if there is much

    def _look_over(self, steps: Sequence[Step], decided: Sequence[str]) -> Mapping[str, Sequence[Change]]:
        """Check what was decided; return the findings that are new. Runs in a thread."""
        now = self._clock()
        self._report.judge(steps, self._issuers.by_path, now)
        return self._issuers.lint(decided, now) if decided else {}

    def _changes(self, steps: Sequence[Step], current: Edition) -> _Changes | None:
        """Find what the next edition changes; None if the current one stays."""
        changed = {step.issuer.path for step in steps}
        changes = {
            step.issuer.path: step.news.entry
            for step in steps
            if is_new(step.issuer, step.news.entry, current) or (step.news.gone and step.issuer.path in current.entries)
        }
        awaited = frozenset(path for path in {*current.awaited, *changed} if self._is_awaited(path, changes, current))
        return (changes, awaited) if changes or awaited != current.awaited else None

    def _is_awaited(self, path: str, changes: Mapping[str, Entry | None], current: Edition) -> bool:
        """Report whether there is an issuer that has no set, and will have one."""
        issuer = self._issuers.by_path.get(path)
        return issuer is not None and issuer.awaited and not changes.get(path, current.entries.get(path))

    def _load(
        self, hints: Collection[Hint], due: Collection[str], swapped: Sequence[Step]
    ) -> tuple[Edition, Sequence[Step], _Changes | None]:
        """Observe the directory, and evaluate what it or the time has changed. Runs in a thread.

        Args:
            hints: As in ``reload``.
            due: The paths of issuers whose time may have come.
            swapped: What was published at its moment; the state is to be written, and the rest of it to be done.

        Returns:
            The current edition; the steps, with those that were swapped in; and what they change in that edition.
        """
        started = time.thread_time()
        now, base = self._clock(), self._catalog.current
        if any(hint.trigger is Trigger.SIGHUP for hint in hints):
            self._directory.forget()
        due = self._issuers.due(due, now)
        seen: Mapping[str, Seen]
        try:
            if everything(hints):
                seen = self._directory.read(dict.fromkeys(self._issuers.by_path))
            else:
                seen = self._directory.read(named(hints, self._issuers.waits_for(due)), everything=False)
        except SourceError as error:
            seen = {ROOT: error}
        self._cost = time.thread_time() - started + self._directory.cost
        taken = self._issuers.take(seen, due, now, base.entries)
        steps = (*swapped, *(step for step in taken if step.changed))
        if rebuilt := {step.issuer.path: _keyset(step) for step in steps if step.rebuilt}:
            self._issuers.remembered.put(rebuilt)
        changes = self._changes(steps, base)
        self._whole_cost = time.thread_time() - started + self._directory.cost
        return base, steps, changes


def _keyset(step: Step) -> KeySet | None:
    return None if step.news.gone else step.issuer.evaluation.keyset
