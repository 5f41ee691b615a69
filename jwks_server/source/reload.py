"""Trigger -> read -> build -> publish. The only writer of the catalog."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Generic, TypeVar

import structlog

from jwks_server.catalog import Catalog, Entry
from jwks_server.config import Timing
from jwks_server.counts import Reloads
from jwks_server.errors import JwksError, NoKeys, SourceError, StateDamaged, StateUnusable
from jwks_server.keys.build import build
from jwks_server.keys.changes import Change, file_changes, key_changes
from jwks_server.keys.grace import Held, settle
from jwks_server.keys.keyset import KeyFile, KeySet
from jwks_server.keys.lint import Finding, lint
from jwks_server.keys.policy import Policy
from jwks_server.source import mounts
from jwks_server.source.decided import Decided
from jwks_server.source.directory import Directory
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Trigger, Triggers
from jwks_server.threads import in_thread

R = TypeVar("R")

# The issuer whose keys are those of the directory itself.
ROOT = "/"

# How long a name that vanished is waited for: some writers delete a file before they create it anew.
_GONE_SECONDS = 0.06
# Certificates come near their end without anything else changing.
_LINT_SECONDS = 3600
# The rescan's share of a core, at most; the watch needs another hundredth.
_RESCAN_SHARE = 0.04

_LEVELS = {"file-refused": "error", "warning": "warning"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[R]):
    """What a look at the directory gives: an entry to publish, if anything is different, and what to log."""

    faults: Mapping[str, JwksError]
    entry: Entry[R] | None = None
    changes: tuple[Change, ...] = ()


class Reloader(Generic[R]):
    """Keeps the catalog equal to what the directory says, and to what the time makes of it.

    Args:
        directory: Where the key files are.
        defaults: What the operator decided, where ``jwks.toml`` says nothing.
        catalog: What is served; written here and nowhere else.
        render: Makes the finished replies of a set and its max-age, by URL path; called off the event loop.
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
        catalog: Catalog[R],
        render: Callable[[KeySet, int], Mapping[str, R]],
        *,
        timing: Timing,
        state: StateFile | None = None,
        reloads: Reloads | None = None,
        done: Callable[[frozenset[Trigger]], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.started = asyncio.Event()
        self._directory = directory
        self._decided = Decided(defaults)
        self._catalog = catalog
        self._render = render
        self._timing = timing
        self._state = state
        self._reloads = reloads or Reloads()
        self._done = done
        self._clock = clock
        self._held: Mapping[str, Held[KeyFile]] = {}
        self._files: Mapping[str, KeyFile] | None = None
        self._previous: KeySet | None = None
        self._unsaved: KeySet | None = None
        self._findings: tuple[Finding, ...] = ()
        self._faults: Mapping[str, JwksError] = {}
        self._settles_at: float | None = None
        self._next_build = math.inf
        self._due = math.inf
        self._cost = 0.0

    @property
    def pause(self) -> float:
        """The seconds to wait before looking again without an event: longer where a look is costly."""
        return max(self._timing.rescan, self._cost / _RESCAN_SHARE)

    async def run(self, triggers: Triggers) -> None:
        """Reload now, and whenever a trigger arrives or the time has come, one reload at a time, for ever."""
        loop = asyncio.get_running_loop()
        await self.reload()
        self.started.set()
        while True:
            delay = min(max(0.0, self._due - self._clock()), _LINT_SECONDS)
            timer = loop.call_later(delay, triggers.put, Trigger.SCHEDULE)
            try:
                arrived = await triggers.get()
            finally:
                timer.cancel()
            await self.reload(arrived)
            if self._done:
                await self._done(arrived)
            await asyncio.sleep(self._cost)  # a storm of events gets half a core at most

    async def reload(self, triggers: Iterable[Trigger] = ()) -> None:
        """Publish what the directory holds now. Where that fails, the last good set stays."""
        began = time.monotonic()
        loaded = await in_thread(partial(self._load, everything=Trigger.SIGHUP in triggers))
        changes = loaded.changes
        if loaded.entry:
            self._catalog.publish({ROOT: loaded.entry})
        self._record(triggers, loaded, time.monotonic() - began)
        if loaded.entry:
            changes += await in_thread(partial(self._lint, loaded.entry.keyset))  # clients don't wait for it
        for change in changes:
            getattr(_log, _LEVELS.get(change.event, "info"))(change.event, **change.fields)
        for code, fault in loaded.faults.items():
            if self._faults.get(code) != fault:
                _log.error(
                    "reload-failed", code=code, reason=fault.message, serving=bool(self._catalog.current.entries)
                )
        for code in self._faults.keys() - loaded.faults.keys():
            _log.info("reload-recovered", code=code, directory=str(self._directory.path))
        self._faults = loaded.faults

    def _record(self, triggers: Iterable[Trigger], loaded: _Loaded[R], seconds: float) -> None:
        outcome = "failed" if loaded.faults else "published" if loaded.entry else "unchanged"
        reasons: list[str] = sorted(triggers) or ["start"]
        for reason in reasons:
            self._reloads.outcomes[reason, outcome] += 1
        self._reloads.whole.add(seconds)
        self._reloads.scans.add(self._cost)
        if outcome != "unchanged" or reasons != [Trigger.PERIOD]:
            self._reloads.last = self._clock(), "+".join(reasons), outcome
        if not loaded.faults:
            self._reloads.last_success = self._clock()
        self._reloads.faults = {ROOT: tuple(loaded.faults.values())} if loaded.faults else {}

    def _load(self, *, everything: bool) -> _Loaded[R]:
        """Look at the directory and at the clock; build where either says so. Runs in a thread."""
        started = time.thread_time()
        now = self._clock()
        if everything:
            self._directory.forget()
        changed, faults = self._look(now)
        self._cost = time.thread_time() - started
        policy = self._decided.current
        if self._files is None or policy is None:
            return _Loaded(faults)
        entry: Entry[R] | None = None
        news: tuple[Change, ...] = ()
        if changed or now >= self._due:
            entry, news = self._build(self._files, policy, now)
        if self._state and self._unsaved:
            try:
                self._state.save(self._unsaved)
                self._unsaved = None
            except StateUnusable as error:
                faults[error.code] = error
        if self._previous and self._previous.held:
            faults[NoKeys.code] = self._no_keys()
        self._due = min(
            instant for instant in (self._next_build, self._settles_at, self._decided.until) if instant is not None
        )
        return _Loaded(faults, entry, news)

    def _look(self, now: float) -> tuple[bool, dict[str, JwksError]]:
        """Scan; tell whether there is something new to build from, and what is wrong."""
        try:
            scan = self._directory.read()
        except SourceError as error:
            return False, {error.code: error}
        waits = {"bad_for": self._timing.settle, "gone_for": 0.0 if scan.whole else _GONE_SECONDS}
        settled = settle(scan.files, self._held, now, **waits)
        before = self._files, self._decided.current
        wrong = self._decided.update(scan.policy, now, **waits)
        self._files, self._held, self._settles_at = settled.items, settled.held, settled.until
        return before != (self._files, self._decided.current), {wrong.code: wrong} if wrong else {}

    def _build(
        self, files: Mapping[str, KeyFile], policy: Policy, now: float
    ) -> tuple[Entry[R] | None, tuple[Change, ...]]:
        previous = self._previous or self._remembered()
        keyset = build(files.values(), policy, previous, now, self._timing.propagation)
        served = self._catalog.current.entries.get(ROOT)
        # With nothing served yet there is nothing to hold: what was remembered is not what the files say.
        entry = None if keyset.held and not served else self._entry(keyset, keyset.max_age(now))
        news = (
            *file_changes(self._previous, keyset),
            *(key_changes(served.keyset if served else None, keyset) if entry else ()),
        )
        self._previous = self._unsaved = keyset
        self._next_build = min(now + _LINT_SECONDS, keyset.max_age_until(now) or math.inf)
        return entry, news

    def _lint(self, keyset: KeySet) -> tuple[Change, ...]:
        """Look a new set over; tell what was not found in the last one."""
        files = self._files.values() if self._files else ()
        findings = lint(keyset, files, mounts.subpaths(self._directory.path), self._clock())
        new = tuple(Change("warning", asdict(finding)) for finding in findings if finding not in self._findings)
        self._findings = findings
        return new

    def _entry(self, keyset: KeySet, max_age: int) -> Entry[R]:
        served = self._catalog.current.entries.get(ROOT)
        if served and (served.max_age, served.keyset.body) == (max_age, keyset.body):
            return Entry(keyset, max_age, served.pages)
        return Entry(keyset, max_age, self._render(keyset, max_age))

    def _remembered(self) -> KeySet | None:
        if not self._state:
            return None
        try:
            return self._state.load()
        except (StateDamaged, StateUnusable) as error:
            _log.warning("state-lost", code=error.code, reason=error.message)
            return None

    def _no_keys(self) -> NoKeys:
        return NoKeys(
            f"No file in {self._directory.path} gives a key, and a set without any would lock every user out; "
            "put a key there, or start with --allow-empty."
        )
