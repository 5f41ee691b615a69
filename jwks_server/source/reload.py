"""Trigger -> observe -> evaluate -> publish. The only writer of the catalog."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import structlog

from jwks_server.errors import JwksError, SourceError
from jwks_server.keys.evaluation import Rules
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import ROOT, Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.issuers import Issuers, Step
from jwks_server.source.remembered import Remembered
from jwks_server.source.rescan import Rescan
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import EVERYWHERE, Hint, Trigger, Triggers
from jwks_server.stats import Reloads
from jwks_server.text import well_formed
from jwks_server.threads import in_thread

# The clock may be set; beyond that, no time is waited for in one piece.
_LONGEST_WAIT_SECONDS = 3600.0

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
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.started = asyncio.Event()
        self._directory = directory
        self._catalog = catalog
        rules = Rules(defaults, timing.grace_period, timing.propagation)
        self._issuers = Issuers(directory, rules, endpoint, Remembered(state))
        self._reloads = reloads or Reloads()
        self.rescan = Rescan(timing.rescan, self._reloads)
        self._done = done
        self._clock = Clock(clock, None) if clock else Clock()
        self._state_faults: Mapping[str, JwksError] = {}
        self._cost = 0.0
        self._whole_cost = 0.0

    async def run(self, triggers: Triggers) -> None:
        """Reload now, and whenever a trigger arrives or the time has come, one reload at a time, without end."""
        loop = asyncio.get_running_loop()
        await self.reload()
        self.started.set()
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
            if any(hint.trigger is not Trigger.PERIOD for hint in arrived):
                await asyncio.sleep(self._cost)  # a storm of events gets half a core at most

    async def reload(self, hints: Collection[Hint] = ()) -> None:
        """Publish what the directory holds now. Where that fails, the last good sets stay.

        Args:
            hints: Where to look; none to observe everything.
        """
        began = time.monotonic()
        before = self._state_faults
        steps = await in_thread(partial(self._load, hints))
        began_here = time.thread_time()
        self._publish(steps)
        self._record(hints, steps, time.monotonic() - began)
        if _everything(hints):
            cost = self._whole_cost + time.thread_time() - began_here
            self.rescan.read(cost, changed=any(step.news.decided for step in steps))
        decided = [step.issuer.path for step in steps if step.news.decided and not step.news.gone]
        # Clients don't wait for this: what it looks over is published.
        findings = await in_thread(partial(self._issuers.lint, decided, self._clock())) if decided else {}
        if findings:
            self._show()
        for step in steps:
            log = self._log_of(step.issuer.path)
            for change in (*step.news.changes, *findings.get(step.issuer.path, ())):
                getattr(log, _LEVELS.get(change.event, "info"))(change.event, **change.fields)
            self._log_faults(step.issuer.path, step.before, step.issuer.evaluation.faults)
        self._log_faults(ROOT, before, self._state_faults)

    def _show(self) -> None:
        """Let status and metrics see what was decided."""
        issuers = self._issuers.by_path
        self._reloads.issuers = {path: issuers[path].evaluation for path in sorted(issuers)}

    def _publish(self, steps: Iterable[Step]) -> None:
        current = self._catalog.current
        changes = {
            step.issuer.path: step.news.entry
            for step in steps
            if step.news.entry or (step.news.gone and step.issuer.path in current.entries)
        }
        with_a_set = {path for path in {*current.entries, *changes} if changes.get(path, True)}
        awaited = frozenset(
            path for path, one in self._issuers.by_path.items() if one.awaited and path not in with_a_set
        )
        if changes or awaited != current.awaited:
            self._catalog.publish(changes, awaited)
        self._show()

    def _record(self, hints: Iterable[Hint], steps: Sequence[Step], seconds: float) -> None:
        faults = {
            well_formed(path): tuple(one.evaluation.faults.values())
            for path, one in self._issuers.by_path.items()
            if one.evaluation.faults
        }
        if self._state_faults:
            faults[ROOT] = (*faults.get(ROOT, ()), *self._state_faults.values())
        published = any(step.news.entry or step.news.gone for step in steps)
        failed = self._state_faults or any(step.issuer.evaluation.faults for step in steps)
        self._reloads.add(
            sorted({hint.trigger for hint in hints}) or ["start"],
            "failed" if failed else "published" if published else "unchanged",
            at=self._clock(),
            seconds=seconds,
            scan=self._cost,
            faults=faults,
        )

    def _load(self, hints: Collection[Hint]) -> Sequence[Step]:
        """Observe the directory, and evaluate what it or the time has changed. Runs in a thread."""
        started = time.thread_time()
        now = self._clock()
        if any(hint.trigger is Trigger.SIGHUP for hint in hints):
            self._directory.forget()
        asked = {hint.issuer for hint in hints}
        everything = _everything(hints)
        due = self._issuers.due(now)
        seen: Mapping[str, Seen]
        try:
            seen = self._directory.read(self._issuers.by_path if everything else asked | due, everything=everything)
        except SourceError as error:
            seen = {ROOT: error}
        self._cost = time.thread_time() - started + self._directory.cost
        steps = self._issuers.take(seen, due, now, self._catalog.current.entries)
        if any(step.rebuilt for step in steps):
            self._issuers.remembered.put(self._issuers.keysets())
        self._state_faults = self._issuers.remembered.save()
        self._whole_cost = time.thread_time() - started + self._directory.cost
        return steps

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


def _everything(hints: Collection[Hint]) -> bool:
    return not hints or any(hint.issuer == EVERYWHERE for hint in hints)
