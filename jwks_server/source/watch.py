"""The key directory and the folders in it as a stream of triggers. Only this module imports watchfiles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from jwks_server.published.catalog import ROOT
from jwks_server.source.patience import Patience
from jwks_server.source.places import NoWorkingDirectory, places_at
from jwks_server.source.triggers import EVERYWHERE, Trigger
from jwks_server.threads import in_thread

# Events are reported after one to two steps, and during a storm of events after the debounce at the latest.
_STEP_MS = 2
_DEBOUNCE_MS = 20

# A place vanished before the watch opened; the kernel has no watch left; watchfiles' own error is a RuntimeError; or a
# name is not UTF-8, which ends the watch and comes out of watchfiles' task group.
_WATCH_ERRORS = (OSError, RuntimeError, UnicodeError, ExceptionGroup)

_NO_WATCH_LEFT = (
    "The kernel has too few watches for all folders, so only the rescan finds changes; "
    "raise fs.inotify.max_user_watches."
)

_log = structlog.get_logger(__name__)

Hint = tuple[Trigger, str]


async def watch(path: Path, interval: Callable[[], float], wants: Callable[[str], bool]) -> AsyncIterator[Hint]:
    """Yield a trigger at each event in a directory, and one after each interval in any case; never ends.

    The watch starts again when the directory at the path, or a folder in it, was replaced, and when watchfiles failed.
    Each start yields a trigger, since there was no event for earlier changes.

    Args:
        path: The directory; it may be missing, be a link, or be behind links.
        interval: Returns the seconds until the next trigger without an event.
        wants: Tells whether a name in the directory, or in an issuer's folder, matters.

    Yields:
        The trigger, and the path of the issuer that it is about.
    """
    failure = ""
    patience = Patience()
    while True:
        try:
            async for hint in _watch_once(path, interval, wants, patience):
                yield hint
            failure = ""
        except FileNotFoundError:  # a folder vanished while the watch started; the next start has the new folders
            await asyncio.sleep(_DEBOUNCE_MS / 1000)
        except _WATCH_ERRORS as exc:
            if failure != (failure := _describe(exc)):
                _log.warning("watch-failed", directory=str(path), reason=failure, rescan=interval())
            yield Trigger.EVENT, EVERYWHERE
            await asyncio.sleep(interval())
            yield Trigger.PERIOD, EVERYWHERE


async def _watch_once(
    path: Path, interval: Callable[[], float], wants: Callable[[str], bool], patience: Patience
) -> AsyncIterator[Hint]:
    """Watch until the directory at the path, or a folder in it, is replaced, or the watch fails."""
    look = partial(patience.run, partial(places_at, path, patience))
    loop = asyncio.get_running_loop()
    places = await in_thread(look)
    stop = asyncio.Event()
    events = awatch(
        *places.names,
        watch_filter=lambda _change, changed: bool(places.concerned(changed, wants)),
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=stop,
        recursive=False,
        ignore_permission_denied=False,  # True would also hide that the kernel has no watch left
    )
    pending = asyncio.create_task(_next(events))
    try:
        await asyncio.sleep(0)  # awatch starts to watch when it is first awaited
        yield Trigger.EVENT, EVERYWHERE
        due = loop.time() + interval()
        concerned = {ROOT}
        while ROOT not in concerned or await in_thread(look) == places:
            await asyncio.wait({pending}, timeout=max(0.0, due - loop.time()))
            if loop.time() >= due:  # even while one issuer's events never stop
                due = loop.time() + interval()
                concerned = {ROOT}
                yield Trigger.PERIOD, EVERYWHERE
            elif pending.done():
                happened = pending.result()
                concerned = {issuer for _, changed in happened for issuer in places.concerned(changed, wants)}
                if EVERYWHERE in concerned:
                    return  # the next start yields a trigger
                pending = asyncio.create_task(_next(events))
                for issuer in concerned:
                    yield Trigger.EVENT, issuer
                if any(change is not Change.modified and places.is_folder(changed) for change, changed in happened):
                    return  # another folder may have the same inode number
    finally:
        stop.set()
        with suppress(*_WATCH_ERRORS):
            await pending


def _describe(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    if isinstance(exc, NoWorkingDirectory):
        return "The working directory was deleted; restart with an absolute path."
    return _NO_WATCH_LEFT if "limit reached" in str(exc) else type(exc).__name__


async def _next(events: AsyncIterator[set[tuple[Change, str]]]) -> set[tuple[Change, str]]:
    """Wait for the next events."""
    return await anext(events, set())
