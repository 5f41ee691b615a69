"""The key directory and the folders in it as a stream of hints. A folder that comes or goes changes only its watch."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from jwks_server.published.catalog import ROOT
from jwks_server.source.notices import Events, Notices
from jwks_server.source.patience import Patience
from jwks_server.source.places import About, NoWorkingDirectory, Places, Spot, find, look
from jwks_server.source.rescan import Rescan
from jwks_server.source.triggers import Hint, Trigger
from jwks_server.threads import in_thread

_NO_WATCH_LEFT = (
    "The kernel has too few watches for all folders, so only the rescan finds changes in some; "
    "raise fs.inotify.max_user_watches."
)
_NO_DESCRIPTOR_LEFT = (
    "The kernel allows no more watches, so only the rescan finds changes in some folders; "
    "raise fs.inotify.max_user_instances, or the limit on open files."
)

T = TypeVar("T")

_log = structlog.get_logger(__name__)


async def watch(path: Path, rescan: Rescan, wants: Callable[[str], bool]) -> AsyncIterator[Hint]:
    """Yield a hint at each event in a directory, and one after each pause in any case; never ends.

    A hint comes after what it is about is watched, so that what happens after it gives another one.

    Args:
        path: The directory; it may be missing, be a link, or be behind links.
        rescan: Decides how long to wait without an event, by how reliable events are.
        wants: Reports whether a name in the directory, or in an issuer's folder, matters.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Events] = asyncio.Queue()

    def tell(some: Events) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(events.put_nowait, some)

    watching = _Watching(path, rescan, wants, Notices(tell))
    everything, due = True, 0.0
    try:
        while True:
            if everything:
                started = await watching.start()
                again = due > 0
                due = loop.time() + rescan.pause
                yield Hint(Trigger.EVENT if started or not again else Trigger.PERIOD)
            about = watching.about(await _until(due, events))
            everything = about.everything
            if about.folders:
                everything = everything or not await watching.check()
            if loop.time() >= due:  # even while one issuer's events never stop
                everything = everything or not await watching.check()
                if not everything:
                    due = loop.time() + rescan.pause
                    yield Hint(Trigger.PERIOD)
            if not everything:
                for hint in await watching.look(about):
                    yield hint
    finally:
        watching.close()


async def _until(due: float, events: asyncio.Queue[Events]) -> Collection[tuple[str, bool]]:
    """Wait for events until a time of the loop; return those that have come."""
    happened: list[tuple[str, bool]] = []
    with suppress(TimeoutError):
        async with asyncio.timeout_at(due):
            happened += await events.get()
    while not events.empty():
        happened += events.get_nowait()
    return happened


class _Watching:
    """What is watched now.

    Args:
        path: The key directory.
        rescan: Takes in what is watched, and what is not.
        wants: Reports whether a name matters.
        notices: Reports events.
    """

    def __init__(self, path: Path, rescan: Rescan, wants: Callable[[str], bool], notices: Notices) -> None:
        self._path = path
        self._rescan = rescan
        self._wants = wants
        self._notices = notices
        self._patience = Patience()
        self._places: Places | None = None
        self._failure = ""
        self.close = notices.close

    def about(self, events: Collection[tuple[str, bool]]) -> About:
        """Find out what events are about."""
        about = About(everything=self._places is None)
        for path, other in dict(sorted(events)).items():  # True is the last of a path's
            if self._places:
                self._places.about(path, self._wants, about, other=other)
        return about

    async def start(self) -> bool:
        """Watch the directory that is at the path now, and the folders in it, all anew; return whether that worked."""
        return await in_thread(partial(self._measured, self._start))

    async def check(self) -> bool:
        """Watch what came without an event; return whether the directory at the path is still the same."""
        return await in_thread(partial(self._measured, self._check))

    async def look(self, about: About) -> Sequence[Hint]:
        """Watch folders that came or went; return where else to look."""
        hints = {Hint(Trigger.EVENT, *one) for one in about.files}
        if about.names:
            hints |= await in_thread(partial(self._look, about.names))
        return sorted(hints, key=lambda hint: (hint.issuer, hint.file or ""))

    def _start(self) -> bool:
        found = self._try(partial(self._patience.run, partial(find, self._path, self._patience)))
        if found is not None:
            before = self._places
            self._places = Places(found)
            self._follow(self._places.watched, before.watched if before else ())
        return found is not None

    def _check(self) -> bool:
        found = self._try(partial(self._patience.run, partial(find, self._path, self._patience)))
        places = self._places
        if found is None or places is None or (found.way, found.links) != (places.way, places.links):
            return False
        names = found.spots.keys() | places.spots.keys()
        others = {name: found.spots.get(name) for name in names if found.spots.get(name) != places.spots.get(name)}
        self._put(places, others, {*places.watched} - {*self._notices.paths})
        return True

    def _look(self, names: Mapping[str, bool]) -> set[Hint]:
        places, hints = self._places, set[Hint]()
        if places is None:
            return hints
        found = self._patience.run(partial(look, places.way.end, names, self._patience, links=places.links))
        others = {}
        for name, spot in found.items():
            if names[name] or spot != places.spots.get(name):
                hints.add(Hint(Trigger.EVENT, ROOT, name))
                others[name] = spot
            if not self._wants(name):  # a folder with a key file's name is no issuer
                hints.add(Hint(Trigger.EVENT, ROOT + name))
        failure = self._failure
        self._put(places, others, set())
        if self._failure != failure:  # the next check says whether it is over
            self._report()
        return hints

    def _put(self, places: Places, others: Mapping[str, Spot | None], add: set[str]) -> None:
        drop = set[str]()
        for name, spot in others.items():
            new, old = places.put(name, spot)
            add, drop = (add - old) | new, (drop - new) | old
        if add or drop:
            self._follow(add, drop)

    def _follow(self, add: Iterable[str], drop: Iterable[str]) -> None:
        self._try(partial(self._notices.follow, tuple(add), tuple(drop)))

    def _measured(self, work: Callable[[], bool]) -> bool:
        began, failure = time.thread_time(), self._failure
        self._failure = ""
        done = work()
        cost = time.thread_time() - began + self._patience.cost
        self._rescan.watched(cost, self._places.devices if self._places else {}, self._failure)
        if self._failure != failure:
            self._report()
        return done

    def _report(self) -> None:
        if self._failure:
            _log.warning("watch-failed", directory=str(self._path), reason=self._failure, rescan=self._rescan.pause)

    def _try(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except (OSError, RuntimeError) as exc:
            self._failure = _describe(exc)
            return None


def _describe(exc: BaseException) -> str:
    if isinstance(exc, NoWorkingDirectory):
        return "The working directory was deleted; restart with an absolute path."
    text = str(exc)
    if "limit reached" in text:
        return _NO_WATCH_LEFT
    if "UTF-8" in text:
        return "A folder's name is not UTF-8, so only the rescan finds changes in it; rename it."
    return _NO_DESCRIPTOR_LEFT if "Too many open files" in text else type(exc).__name__
