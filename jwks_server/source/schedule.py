"""The changes that time alone makes: each is prepared before its moment, in a thread, and swapped in at it.

The swap waits for nothing: neither for a thread that reads a slow directory, nor for anything to be rendered. What it
leaves to do (the log, the state, the counters) is for the next reload, which it asks for. Where nothing was prepared, or
the issuer has changed since, that reload evaluates the issuer.
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
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.source.issuer import Issuer, News
from jwks_server.source.issuers import Step
from jwks_server.source.triggers import Trigger, Triggers
from jwks_server.threads import in_thread

# How long before its moment a change may be prepared. With 1,000 issuers that takes a second or two.
AHEAD_SECONDS = 30.0
# The next changes of one issuer that are prepared together: the first must not make the second one late.
_DEEP = 4
# The issuers that are prepared in one piece.
_BATCH = 16
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

    def applies(self) -> bool:
        """Tell whether the issuer is still as it was; what was linted since is not a change."""
        current = self.issuer.evaluation
        return current is self.before or _but_findings(current) == _but_findings(self.before)

    def swap(self) -> bool:
        """Put it in force, unless the issuer has changed since."""
        current, after = self.issuer.evaluation, self.after
        if after.findings is not current.findings:
            after = replace(after, findings=current.findings)
        return self.applies() and self.issuer.replace(current, after)


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
                self._prepared.pop(path, None)
            elif issuer.evaluation is not self._noted.get(path):
                self._noted[path] = issuer.evaluation
                self._ready(path)
                moment = issuer.evaluation.due, path
                heapq.heappush(self._due, moment)
                heapq.heappush(self._unprepared, moment)
        self._due_noted.set()
        self._unprepared_noted.set()

    def take_swapped(self) -> Sequence[Step]:
        """Return what was swapped in since the last call; its log, state and counters are left to do."""
        swapped, self._swapped = self._swapped, []
        return swapped

    async def keep(self, triggers: Triggers) -> None:
        """Swap in what is prepared at its moment, and ask for a reload then; this never returns."""
        while True:
            self._swap_due(triggers)
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

    def _swap_due(self, triggers: Triggers) -> None:
        now = self._clock()
        published: dict[str, Entry] = {}
        while self._due and self._due[0][0] <= now:
            _, path = heapq.heappop(self._due)
            issuer = self._issuers.get(path)
            if issuer is None or issuer.evaluation.due > now:
                continue  # it has changed since this was noted, and what it has become was noted too
            triggers.put(Trigger.SCHEDULE, path)
            ready = self._ready(path)
            if ready and ready[0].swap():
                news = ready[0].news
                self._swapped.append(Step(issuer, news, ready[0].before.faults, rebuilt=True))
                self._prepared[path] = ready[1:]
                self.note([path])
                if news.entry:
                    published[path] = news.entry
        if published:
            self._catalog.publish(published, self._catalog.current.awaited - published.keys())

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
        ready = self._prepared.get(path, ())
        if ready and ready[0].issuer is self._issuers.get(path) and ready[0].applies():
            return ready
        self._prepared.pop(path, None)
        return ()


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


async def _noticed(noted: asyncio.Event, seconds: float) -> None:
    """Wait until something was noted, or some time is over; never for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, min(seconds, _LOOK_SECONDS))):
            await noted.wait()
    noted.clear()
