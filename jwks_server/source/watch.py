"""The key directory as a stream of triggers. The only importer of watchfiles."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from watchfiles import Change, awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from jwks_server.source.triggers import Trigger
from jwks_server.threads import in_thread

# Events are reported after one to two steps; in a storm of them, after the debounce at the latest.
_STEP_MS = 2
_DEBOUNCE_MS = 20
_LINKS_FOLLOWED = 40

# A place vanished before the watch opened; the kernel's limits on watches; a name that is not UTF-8 ends the
# watch for good, and comes out of watchfiles' task group.
_WATCH_ERRORS = (OSError, RuntimeError, UnicodeError, WatchfilesRustInternalError, ExceptionGroup)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory to watch. Device and inode tell when another one has taken its path."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Places:
    """Where events come from: the key directory, and wherever a rename can put another one in its stead."""

    directory: str
    watched: tuple[_Place, ...]
    steps: frozenset[str]

    def concern(self, path: str, wants: Callable[[str], bool]) -> bool:
        """Tell whether an event is about the directory's content or about a step on the way to it."""
        folder, name = os.path.split(path)
        return path in self.steps or (folder == self.directory and wants(name))


async def watch(path: Path, interval: Callable[[], float], wants: Callable[[str], bool]) -> AsyncIterator[Trigger]:
    """Yield a trigger at each event in a directory, and one each interval in any case, for ever.

    The watch is armed anew whenever the directory at the path is another one than before, and after
    watchfiles failed. Each arming yields a trigger, since what happened before it gave no event.

    Args:
        path: The directory; it may be missing, be a link, or lie behind links.
        interval: The seconds until the next look without an event; asked before each wait.
        wants: Tells whether a name in the directory matters.
    """
    failure = ""
    while True:
        try:
            async for trigger in _watch_once(path, interval, wants):
                yield trigger
            failure = ""
        except _WATCH_ERRORS as exc:
            if failure != (failure := _describe(exc)):
                _log.warning("watch-failed", directory=str(path), reason=failure, rescan=interval())
            yield Trigger.EVENT
            await asyncio.sleep(interval())
            yield Trigger.PERIOD


async def _watch_once(
    path: Path, interval: Callable[[], float], wants: Callable[[str], bool]
) -> AsyncIterator[Trigger]:
    """Watch until the directory at the path is another one, or the watch fails."""
    places = await in_thread(partial(_places, path))
    stop = asyncio.Event()
    events = awatch(
        *(place.path for place in places.watched),
        watch_filter=lambda _change, changed: places.concern(changed, wants),
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=stop,
        recursive=False,
        ignore_permission_denied=True,
    )
    pending = asyncio.create_task(_next(events))
    try:
        await asyncio.sleep(0)  # awatch opens its watch when it is first waited for
        yield Trigger.EVENT
        while await in_thread(partial(_places, path)) == places:
            await asyncio.wait({pending}, timeout=interval())
            if not pending.done():
                yield Trigger.PERIOD
                continue
            if not places.steps.isdisjoint(pending.result()):
                # The directory may be another one with the same inode number. The next arming yields a trigger.
                return
            pending = asyncio.create_task(_next(events))
            yield Trigger.EVENT
    finally:
        stop.set()
        with suppress(*_WATCH_ERRORS):
            await pending


def _describe(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return type(exc).__name__


async def _next(events: AsyncIterator[set[tuple[Change, str]]]) -> set[str]:
    """Wait for the next paths with an event."""
    return {path for _change, path in await anext(events, set())}


def _places(path: Path) -> _Places:
    """Walk to the directory one component at a time, as the kernel does, as far as there is a way."""
    here = Path("/")
    ahead = list(path.absolute().parts[1:])
    holders = [here]
    steps = set()
    links = 0
    while ahead:
        step = here / ahead.pop(0)
        steps.add(str(step))
        if step.is_symlink() and links < _LINKS_FOLLOWED:
            links += 1
            holders.append(here)
            target = step.readlink()
            ahead[:0] = target.parts
            if target.is_absolute():
                here = Path("/")
                del ahead[0]
        elif step.name == "..":
            here = here.parent
        elif step.is_dir():
            here = step
        else:
            break
    watched = [place for one in dict.fromkeys((here, here.parent, *holders[1:])) if (place := _place(one))]
    return _Places(str(here), tuple(watched), frozenset(steps))


def _place(path: Path) -> _Place | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _Place(str(path), status.st_dev, status.st_ino)
