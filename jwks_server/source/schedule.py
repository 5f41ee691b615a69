"""The changes that time alone makes: each is prepared before its moment, in a thread, and swapped in at it.

The swap waits for nothing: neither for a thread that reads a slow directory, nor for anything to be rendered. The
log, the state and the counters are left to the next reload, which it asks for. Where nothing was prepared, or the
issuer has changed since, that reload evaluates the issuer.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from operator import attrgetter

from jwks_server.keys.evaluation import Evaluation
from jwks_server.published.catalog import Catalog, Edition, Entry
from jwks_server.source.issuer import Issuer, News
from jwks_server.source.issuers import Step
from jwks_server.source.triggers import Trigger, Triggers
from jwks_server.threads import in_thread

# How long before its moment a change may be prepared. With 1,000 issuers that takes a second or two.
AHEAD_SECONDS = 30.0
# The next changes of one issuer that are prepared together: the first must not make the second one late.
_DEEP = 4
# The issuers that are prepared in one piece, and those that are swapped in before clients are answered again.
_BATCH, _SWAPPED_IN_ONE_PIECE = 16, 128
# Timers run by the monotonic clock, and moments are of the wall clock: after this time one that was set is noticed.
_LOOK_SECONDS = 1.0

_but_findings = attrgetter(*(one.name for one in fields(Evaluation) if one.name != "findings"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that time will make.

    Attributes:
        issuer: Whose it is.
        before: The evaluation that it was made from.
        after: What it makes of that.
        news: What that gives.
    """

    issuer: Issuer
    before: Evaluation
    after: Evaluation
    news: News

    def based_on(self, current: Evaluation) -> "Prepared | None":
        """Return the same change of an evaluation that differs in its findings at most; None if it differs in more."""
        if current is self.before:
            return self
        if _but_findings(current) != _but_findings(self.before):
            return None
        return replace(self, before=current, after=replace(self.after, findings=current.findings))


class Schedule:
    """When time alone changes an issuer, and the changes that are prepared.

    Args:
        issuers: The issuers by their path.
        catalog: What is served; a swap is one publication, whatever the number of issuers.
        clock: The time that the keys live by, in seconds since the epoch.
    """

    def __init__(self, issuers: Mapping[str, Issuer], catalog: Catalog, clock: Callable[[], float]) -> None:
        self._issuers = issuers
        self._catalog = catalog
        self._clock = clock
        self._noted: dict[str, Evaluation] = {}
        self._due: list[tuple[float, str]] = []
        self._unprepared: list[tuple[float, str]] = []
        self._prepared: dict[str, Sequence[Prepared]] = {}
        self._swapped: list[Step] = []
        self._due_noted, self._unprepared_noted = asyncio.Event(), asyncio.Event()

    def note(self, paths: Iterable[str]) -> None:
        """Take note of issuers that may have changed, by their path."""
        for path in paths:
            issuer = self._issuers.get(path)
            if issuer is None:
                self._noted.pop(path, None)
                self._ready(path)
            elif issuer.evaluation is not self._noted.get(path):
                self._noted[path] = issuer.evaluation
                self._ready(path)
                moment = issuer.evaluation.due, path
                heapq.heappush(self._due, moment)
                heapq.heappush(self._unprepared, moment)
        self._due_noted.set()
        self._unprepared_noted.set()

    def due(self, now: float) -> set[str]:
        """Return the paths of the issuers whose time has come, without a look at the others.

        Args:
            now: In seconds since the epoch.
        """
        found: set[str] = set()
        waiting = [0]
        while waiting:  # what is below an item of a heap comes after it
            at = waiting.pop()
            if at < len(self._due) and self._due[at][0] <= now:
                found.add(self._due[at][1])
                waiting += (2 * at + 1, 2 * at + 2)
        return found

    def take_swapped(self) -> Sequence[Step]:
        """Return what was swapped in since the last call; its log, state and counters are left to do."""
        swapped, self._swapped = self._swapped, []
        return swapped

    async def keep(self, triggers: Triggers) -> None:
        """Swap in what is prepared at its moment, and ask for a reload then; this never returns."""
        while True:
            for issuer, prepared in await self._swap_due():
                triggers.put(Trigger.SCHEDULE, issuer.path)
                if prepared:
                    self._swapped.append(Step(issuer, prepared.news, prepared.before.faults, rebuilt=True))
            await _noticed(self._due_noted, self._due[0][0] - self._clock() if self._due else _LOOK_SECONDS)

    async def prepare(self) -> None:
        """Prepare what is due soon, with half a core at most; this never returns."""
        while True:
            if near := self._take_near():
                began = time.monotonic()
                entries, until = self._catalog.current.entries, self._clock() + AHEAD_SECONDS
                work = partial(_prepared, near, entries, until)
                self._prepared |= await in_thread(work)
                await asyncio.sleep(time.monotonic() - began)
            else:
                await _noticed(self._unprepared_noted, _LOOK_SECONDS)

    async def _swap_due(self) -> Sequence[tuple[Issuer, Prepared | None]]:
        """Publish what is prepared and due; return the issuers that are due, each with what was swapped in."""
        now = self._clock()
        due: list[tuple[Issuer, Prepared | None]] = []
        while self._due and self._due[0][0] <= now:
            _, path = heapq.heappop(self._due)
            issuer = self._issuers.get(path)
            if issuer is None or issuer.evaluation.due > now:
                continue  # it has changed since this was noted, and what it has become was noted too
            prepared, *later = self._ready(path) or (None,)
            if prepared and issuer.replace(prepared.before, prepared.after):
                self._prepared[path] = later
                self.note([path])
                due.append((issuer, prepared))
            else:
                due.append((issuer, None))
            if len(due) % _SWAPPED_IN_ONE_PIECE == 0:
                await asyncio.sleep(0)
        if published := {
            issuer.path: prepared.news.entry
            for issuer, prepared in due
            if prepared and is_new(issuer, prepared.news.entry, self._catalog.current)
        }:
            self._catalog.publish(published, self._catalog.current.awaited - published.keys())
        return due

    def _take_near(self) -> Mapping[str, Issuer]:
        """Take the next issuers that are due soon and not prepared yet."""
        near: dict[str, Issuer] = {}
        soon = self._clock() + AHEAD_SECONDS
        while self._unprepared and self._unprepared[0][0] <= soon and len(near) < _BATCH:
            _, path = heapq.heappop(self._unprepared)
            issuer = self._issuers.get(path)
            if issuer and issuer.evaluation.due <= soon and not self._ready(path):
                near[path] = issuer
        return near

    def _ready(self, path: str) -> Sequence[Prepared]:
        """Return what is prepared for an issuer; forget it if the issuer has changed since."""
        issuer, ready = self._issuers.get(path), self._prepared.pop(path, ())
        first = ready[0].based_on(issuer.evaluation) if issuer and ready and ready[0].issuer is issuer else None
        if first is None:
            return ()
        self._prepared[path] = ready = ready if first is ready[0] else (first, *ready[1:])
        return ready


def _prepared(
    near: Mapping[str, Issuer], entries: Mapping[str, Entry], until: float
) -> Mapping[str, Sequence[Prepared]]:
    """Prepare the next changes of issuers. Runs in a thread, beside everything else: it changes nothing."""
    return {path: tuple(_ahead(issuer, entries.get(path), until)) for path, issuer in near.items()}


def _ahead(issuer: Issuer, served: Entry | None, until: float) -> Iterator[Prepared]:
    before = issuer.evaluation
    for _ in range(_DEEP):
        moment = before.due
        # What else is due needs a look at the folder, or changes no set.
        if moment > until or before.keyset is None or moment != before.keyset.next_change:
            return
        after, news = issuer.decide(before, None, moment, served, alone=False)
        yield Prepared(issuer, before, after, news)
        before, served = after, news.entry or served


def is_new(issuer: Issuer, entry: Entry | None, current: Edition) -> bool:
    """Report whether an entry is to be published: it may be published already, and the issuer may have a newer one."""
    return (
        entry is not None and entry.keyset is issuer.evaluation.served and entry is not current.entries.get(issuer.path)
    )


async def _noticed(noted: asyncio.Event, seconds: float) -> None:
    """Wait until something was noted, or some time is over; never for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, min(seconds, _LOOK_SECONDS))):
            await noted.wait()
    noted.clear()
