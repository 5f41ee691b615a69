"""Trigger -> observe -> evaluate -> publish. The only writer of the catalog."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import structlog

from jwks_server.errors import JwksError, SourceError
from jwks_server.keys.changes import Change
from jwks_server.keys.evaluation import Rules
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import ROOT, Catalog, Entry
from jwks_server.published.pages import Endpoint
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.issuers import Issuers, Step
from jwks_server.source.keeper import Keeper
from jwks_server.source.remembered import Remembered
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import EVERYWHERE, Hint, Trigger, Triggers, named
from jwks_server.stats import Reloads
from jwks_server.text import well_formed
from jwks_server.threads import in_thread

# The clock may be set; beyond that, no time is waited for in one piece.
_LONGEST_WAIT_SECONDS = 3600.0
# Log lines are written for this long in one piece.
_SLICE_SECONDS = 0.002
# The rescan's share of a core, at most; evaluating what it saw, and the watch, need another hundredth each.
_RESCAN_SHARE = 0.03

# What the next edition changes: the entries by their issuer's path, and who is awaited.
_Published = tuple[Mapping[str, Entry | None], frozenset[str]]

_LEVELS = {"file-refused": "error", "finding": "warning"}
_log = structlog.get_logger(__name__)


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
        clock: Seconds since the epoch, for tests; None for the machine's clock.

    Attributes:
        started: Set after the first observation of the directory, whatever it gave.
        state: Writes what is remembered across restarts; a task of its own must run it.
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
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.started = asyncio.Event()
        self._directory = directory
        self._catalog = catalog
        self._timing = timing
        rules = Rules(defaults, timing.grace_period, timing.propagation)
        remembered = Remembered(state)
        self._issuers = Issuers(directory, rules, endpoint, remembered)
        self.state = Keeper(remembered, self._state_changed)
        self._reloads = reloads or Reloads()
        self._done = done
        self._clock = Clock(clock, None) if clock else Clock()
        self._faults: Mapping[str, tuple[JwksError, ...]] = {}
        self._cost = 0.0
        self._full_cost = 0.0

    @property
    def pause(self) -> float:
        """The seconds to wait before observing again without an event: longer if an observation is expensive."""
        return max(self._timing.rescan, self._full_cost / _RESCAN_SHARE)

    async def run(self, triggers: Triggers) -> None:
        """Reload now, and whenever a trigger arrives or the time has come, one reload at a time, without end."""
        loop = asyncio.get_running_loop()
        gc.disable()  # what the first load makes stays, so a collection would find nothing
        try:
            await self.reload()
        finally:
            gc.freeze()
            gc.enable()
        while True:
            soonest = min(self._issuers.by_path.values(), key=lambda issuer: issuer.evaluation.due, default=None)
            delay = _LONGEST_WAIT_SECONDS
            if soonest:
                delay = min(max(0.0, soonest.evaluation.due - self._clock()), _LONGEST_WAIT_SECONDS)
            timer = loop.call_later(delay, triggers.put, Trigger.SCHEDULE, soonest.path if soonest else EVERYWHERE)
            try:
                arrived = await triggers.get()
            finally:
                timer.cancel()
            await self.reload(arrived)
            if self._done:
                await self._done(frozenset(hint.trigger for hint in arrived))
            await asyncio.sleep(self._cost)  # a storm of events gets half a core at most

    async def reload(self, hints: Collection[Hint] = ()) -> None:
        """Publish what the directory holds now. Where that fails, the last good sets stay.

        Args:
            hints: What to look at; none to observe everything.
        """
        began = time.monotonic()
        steps, published = await in_thread(partial(self._load, hints))
        if published:
            self._catalog.publish(*published)
        self._show(steps)
        self._record(hints, steps, time.monotonic() - began)
        self.state.wake()
        self.started.set()
        decided = [step.issuer.path for step in steps if step.news.decided and not step.news.gone]
        # Clients don't wait for this: what it looks over is published.
        findings = await in_thread(partial(self._issuers.lint, decided, self._clock())) if decided else {}
        if findings:
            self._show(steps)
        await self._log_changes(steps, findings)

    async def _log_changes(self, steps: Sequence[Step], findings: Mapping[str, Sequence[Change]]) -> None:
        """Log what changed; between some lines, clients come first."""
        paused = time.monotonic()
        for step in steps:
            log = self._log_of(step.issuer.path)
            for change in (*step.news.changes, *findings.get(step.issuer.path, ())):
                getattr(log, _LEVELS.get(change.event, "info"))(change.event, **change.fields)
                if time.monotonic() - paused > _SLICE_SECONDS:
                    await asyncio.sleep(0)
                    paused = time.monotonic()
            self._log_faults(step.issuer.path, step.before, step.issuer.evaluation.faults)

    def _show(self, steps: Iterable[Step]) -> None:
        """Let status and metrics see what was decided."""
        changed = {step.issuer.path for step in steps}
        if not changed:
            return
        issuers, shown = self._issuers.by_path, dict(self._reloads.issuers)
        for path in changed & issuers.keys():
            shown[path] = issuers[path].evaluation
        for path in changed - issuers.keys():
            shown.pop(path, None)
        if shown.keys() != self._reloads.issuers.keys():
            shown = {path: shown[path] for path in sorted(shown)}
        self._reloads.issuers = shown

    def _published(self, steps: Iterable[Step]) -> _Published | None:
        """Find what the next edition changes; None if the current one stays."""
        current = self._catalog.current
        changes = {
            step.issuer.path: step.news.entry
            for step in steps
            if step.news.entry or (step.news.gone and step.issuer.path in current.entries)
        }
        with_a_set = {path for path in {*current.entries, *changes} if changes.get(path, True)}
        awaited = frozenset(
            path for path in self._issuers.by_path.keys() - with_a_set if self._issuers.by_path[path].awaited
        )
        return (changes, awaited) if changes or awaited != current.awaited else None

    def _record(self, hints: Iterable[Hint], steps: Sequence[Step], seconds: float) -> None:
        faults = dict(self._faults)
        for step in steps:
            path = well_formed(step.issuer.path)
            faults.pop(path, None)
            if step.issuer.evaluation.faults and not step.news.gone:
                faults[path] = tuple(step.issuer.evaluation.faults.values())
        self._faults = faults
        published = any(step.news.entry or step.news.gone for step in steps)
        failed = self.state.faults or any(step.issuer.evaluation.faults for step in steps)
        self._reloads.add(
            sorted({hint.trigger for hint in hints}) or ["start"],
            "failed" if failed else "published" if published else "unchanged",
            at=self._clock(),
            seconds=seconds,
            scan=self._cost,
            faults=self._all_faults(),
        )

    def _all_faults(self) -> Mapping[str, tuple[JwksError, ...]]:
        if not self.state.faults:
            return self._faults
        return {**self._faults, ROOT: (*self._faults.get(ROOT, ()), *self.state.faults.values())}

    def _state_changed(self, before: Mapping[str, JwksError], now: Mapping[str, JwksError]) -> None:
        self._reloads.faults = self._all_faults()
        self._log_faults(ROOT, before, now)

    def _load(self, hints: Collection[Hint]) -> tuple[Sequence[Step], _Published | None]:
        """Observe the directory, and evaluate what it or the time has changed. Runs in a thread."""
        started = time.thread_time()
        now = self._clock()
        if any(hint.trigger is Trigger.SIGHUP for hint in hints):
            self._directory.forget()
        everything = not hints or any(hint.issuer == EVERYWHERE for hint in hints)
        due = self._issuers.due(now)
        seen: Mapping[str, Seen]
        try:
            if everything:
                seen = self._directory.read(self._issuers.by_path)
            else:
                files = named(hints, self._issuers.waits_for(due))
                seen = self._directory.read(files, everything=False, files=files)
        except SourceError as error:
            seen = {ROOT: error}
        self._cost = time.thread_time() - started + self._directory.cost
        if everything:
            self._full_cost = self._cost
        steps = self._issuers.take(seen, due, now, self._catalog.current.entries)
        if any(step.rebuilt for step in steps):
            self._issuers.remembered.put(self._issuers.keysets())
        return steps, self._published(steps)

    def _log_of(self, path: str) -> structlog.stdlib.BoundLogger:
        log: structlog.stdlib.BoundLogger = _log if path == ROOT else _log.bind(issuer=path)
        return log

    def _log_faults(self, path: str, before: Mapping[str, JwksError], now: Mapping[str, JwksError]) -> None:
        """Log a fault once when it appears, and once when it is over."""
        log = self._log_of(path)
        for code, fault in now.items():
            if before.get(code) != fault:
                serving = path in self._catalog.current.entries
                log.error("reload-failed", code=code, reason=fault.message, serving=serving)
        for code in before.keys() - now.keys():
            log.info("reload-recovered", code=code, directory=str(self._directory.folder(path)))
