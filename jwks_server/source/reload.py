"""Trigger -> read -> build -> publish. The only writer of the catalog."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from jwks_server.errors import JwksError, SourceError
from jwks_server.keys.changes import Change
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import ROOT, Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.source import mounts
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.folder import Scan
from jwks_server.source.issuer import Issuer, News
from jwks_server.source.state import Remembered, StateFile
from jwks_server.source.triggers import EVERYWHERE, Trigger, Triggers
from jwks_server.stats import Reloads
from jwks_server.text import well_formed
from jwks_server.threads import in_thread

# The clock may be set; beyond that, no time is waited for in one piece.
_LONGEST_WAIT_SECONDS = 3600.0
# The rescan's share of a core, at most; settling what it saw, and the watch, need another hundredth each.
_RESCAN_SHARE = 0.03

_LEVELS = {"file-refused": "error", "warning": "warning"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Step:
    """One issuer's part of a reload, what was wrong with it before, and whether its set was built."""

    issuer: Issuer
    news: News
    before: Mapping[str, JwksError]
    built: bool


class Reloader:
    """Keeps the catalog equal to what the directory says, and to what the time makes of it.

    Only what an event is about is looked at, and only an issuer with a change, or whose time has come, is built and
    rendered again; all that one look found is published at once.

    Args:
        directory: Where the key files are.
        defaults: What the operator decided, where a ``jwks.toml`` says nothing.
        catalog: What is served; written here and nowhere else.
        endpoint: Where and how each set is served.
        timing: How long things take.
        state: What is remembered across restarts.
        reloads: Counts what becomes of each look.
        done: Called after each reload that a trigger asked for.
        clock: Seconds since the epoch.

    Attributes:
        started: Set after the first look at the directory, whatever it gave.
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.started = asyncio.Event()
        self._directory = directory
        self._defaults = defaults
        self._catalog = catalog
        self._endpoint = endpoint
        self._timing = timing
        self._remembered = Remembered(state)
        self._reloads = reloads or Reloads()
        self._done = done
        self._clock = clock
        self._issuers: dict[str, Issuer] = {}
        self._state_faults: Mapping[str, JwksError] = {}
        self._cost = 0.0
        self._full_cost = 0.0

    @property
    def pause(self) -> float:
        """The seconds to wait before looking again without an event: longer where a look is costly."""
        return max(self._timing.rescan, self._full_cost / _RESCAN_SHARE)

    async def run(self, triggers: Triggers) -> None:
        """Reload now, and whenever a trigger arrives or the time has come, one reload at a time, for ever."""
        loop = asyncio.get_running_loop()
        await self.reload()
        self.started.set()
        while True:
            soonest = min(self._issuers.values(), key=lambda issuer: issuer.due, default=None)
            delay = _LONGEST_WAIT_SECONDS
            if soonest:
                delay = min(max(0.0, soonest.due - self._clock()), _LONGEST_WAIT_SECONDS)
            timer = loop.call_later(delay, triggers.put, Trigger.SCHEDULE, soonest.path if soonest else EVERYWHERE)
            try:
                arrived = await triggers.get()
            finally:
                timer.cancel()
            await self.reload(arrived)
            if self._done:
                await self._done(frozenset(trigger for trigger, _ in arrived))
            await asyncio.sleep(self._cost)  # a storm of events gets half a core at most

    async def reload(self, triggers: Collection[tuple[Trigger, str]] = ()) -> None:
        """Publish what the directory holds now. Where that fails, the last good sets stay.

        Args:
            triggers: Each with the path of the issuer that it is about; none for a look at everything.
        """
        began = time.monotonic()
        before = self._state_faults
        steps = await in_thread(partial(self._load, triggers))
        self._publish(steps)
        self._record(triggers, steps, time.monotonic() - began)
        published = [step for step in steps if step.news.entry]
        warnings = await in_thread(partial(self._lint, published)) if published else {}  # clients don't wait for it
        for step in steps:
            log = self._log_of(step.issuer.path)
            for change in (*step.news.changes, *warnings.get(step.issuer.path, ())):
                getattr(log, _LEVELS.get(change.event, "info"))(change.event, **change.fields)
            self._log_faults(step.issuer.path, step.before, step.issuer.faults)
        self._log_faults(ROOT, before, self._state_faults)

    def _publish(self, steps: Iterable[_Step]) -> None:
        current = self._catalog.current
        changes = {
            step.issuer.path: step.news.entry
            for step in steps
            if step.news.entry or (step.news.gone and step.issuer.path in current.entries)
        }
        with_a_set = {path for path in {*current.entries, *changes} if changes.get(path, True)}
        awaited = frozenset(path for path, one in self._issuers.items() if one.awaited and path not in with_a_set)
        if changes or awaited != current.awaited:
            self._catalog.publish(changes, awaited)

    def _record(self, triggers: Iterable[tuple[Trigger, str]], steps: Sequence[_Step], seconds: float) -> None:
        faults = {well_formed(path): tuple(one.faults.values()) for path, one in self._issuers.items() if one.faults}
        if self._state_faults:
            faults[ROOT] = (*faults.get(ROOT, ()), *self._state_faults.values())
        published = any(step.news.entry or step.news.gone for step in steps)
        failed = self._state_faults or any(step.issuer.faults for step in steps)
        self._reloads.add(
            sorted({trigger for trigger, _ in triggers}) or ["start"],
            "failed" if failed else "published" if published else "unchanged",
            at=self._clock(),
            seconds=seconds,
            scan=self._cost,
            faults=faults,
        )

    def _lint(self, steps: Iterable[_Step]) -> Mapping[str, tuple[Change, ...]]:
        table, now = mounts.table(), self._clock()
        return {step.issuer.path: step.issuer.lint(table, now) for step in steps}

    def _load(self, triggers: Collection[tuple[Trigger, str]]) -> Sequence[_Step]:
        """Look at the directory and at the clock; build where either says so. Runs in a thread."""
        started = time.thread_time()
        now = self._clock()
        if any(trigger is Trigger.SIGHUP for trigger, _ in triggers):
            self._directory.forget()
        asked = {issuer for _, issuer in triggers}
        everything = EVERYWHERE in asked or not triggers
        due = {path for path, issuer in self._issuers.items() if now >= issuer.due}
        looks: Mapping[str, Seen]
        try:
            looks = self._directory.read(self._issuers if everything else asked | due, everything=everything)
        except SourceError as error:
            looks = {ROOT: error}
        self._cost = time.thread_time() - started
        if everything:
            self._full_cost = self._cost
        # The directory itself comes last: without keys of its own it is an issuer only where there is no other.
        paths = sorted(looks.keys() | due, key=lambda path: (path == ROOT, path))
        steps = [step for path in paths if (step := self._step(path, looks.get(path), now))]
        if any(isinstance(seen, Scan) and not seen.empty for seen in looks.values()):
            self._remembered.drop()  # what was not asked for by now belongs to folders that are gone
        if any(step.news.gone or step.built for step in steps):
            self._remembered.put({path: keyset for path, one in self._issuers.items() if (keyset := one.keyset)})
        self._state_faults = self._remembered.save()
        return steps

    def _step(self, path: str, seen: Seen | None, now: float) -> _Step | None:
        """Take one issuer on; None where there is none."""
        alone = path == ROOT and not self._issuers.keys() - {ROOT}
        issuer = self._issuers.get(path)
        if issuer is None:
            retained = self._defaults.retain > 0 and self._remembered.knows(path)
            if isinstance(seen, Scan) and seen.empty and not alone and not (seen.there and retained):
                return None
            remembered, folder = self._remembered.take(path), self._directory.folder(path)
            issuer = Issuer(path, folder, self._defaults, self._endpoint, self._timing, remembered)
            self._issuers[path] = issuer
        before, last = issuer.faults, issuer.keyset
        news = issuer.step(seen, now, self._catalog.current.entries.get(path), alone=alone)
        if news.gone:
            del self._issuers[path]
        return _Step(issuer, news, before, built=issuer.keyset is not last)

    def _log_of(self, path: str) -> structlog.stdlib.BoundLogger:
        log: structlog.stdlib.BoundLogger = _log if path == ROOT else _log.bind(issuer=path)
        return log

    def _log_faults(self, path: str, before: Mapping[str, JwksError], now: Mapping[str, JwksError]) -> None:
        """Tell of a fault once when it comes, and once when it goes."""
        log = self._log_of(path)
        for code, fault in now.items():
            if before.get(code) != fault:
                serving = path in self._catalog.current.entries
                log.error("reload-failed", code=code, reason=fault.message, serving=serving)
        for code in before.keys() - now.keys():
            log.info("reload-recovered", code=code, directory=str(self._directory.folder(path)))
