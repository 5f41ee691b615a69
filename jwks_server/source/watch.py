"""The key directory and the folders in it as a stream of triggers. Only this module imports watchfiles."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from jwks_server.published.catalog import ROOT
from jwks_server.source.triggers import EVERYWHERE, Trigger
from jwks_server.source.volume import DATA_LINK, folders
from jwks_server.threads import in_thread

# Events are reported after one to two steps, and during a storm of events after the debounce at the latest.
_STEP_MS = 2
_DEBOUNCE_MS = 20
_LINKS_FOLLOWED = 40

# A place vanished before the watch opened; the kernel has no watch left; watchfiles' own error is a RuntimeError; or a
# name is not UTF-8, which ends the watch and comes out of watchfiles' task group.
_WATCH_ERRORS = (OSError, RuntimeError, UnicodeError, ExceptionGroup)

_NO_WATCH_LEFT = (
    "The kernel has too few watches for all folders, so only the rescan finds changes; "
    "raise fs.inotify.max_user_watches."
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory to watch. Device and inode show when another directory took its path."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Places:
    """The directories to watch: the key directory, and those in which a rename can replace it.

    Attributes:
        directory: The key directory, its links resolved.
        watched: The key directory, and the directories that hold a step of the path to it.
        steps: The links and directories of the path.
        folders: The issuers' folders in it, by path.
    """

    directory: str
    watched: tuple[_Place, ...]
    steps: frozenset[str]
    folders: Mapping[str, _Place]

    def issuer(self, path: str, wants: Callable[[str], bool]) -> str | None:
        """Tell which issuer an event is about: EVERYWHERE for the path to the directory, None if about no issuer."""
        if path in self.steps:
            return EVERYWHERE
        folder, name = os.path.split(path)
        if folder == self.directory:
            return ROOT if wants(name) or self._is_folder(path, name) else None
        return ROOT + folder.rpartition("/")[2] if folder in self.folders and wants(name) else None

    def _is_folder(self, path: str, name: str) -> bool:
        return path in self.folders or (not name.startswith(".") and os.path.isdir(path))  # noqa: PTH112 - a str


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
    while True:
        try:
            async for hint in _watch_once(path, interval, wants):
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


async def _watch_once(path: Path, interval: Callable[[], float], wants: Callable[[str], bool]) -> AsyncIterator[Hint]:
    """Watch until the directory at the path, or a folder in it, is replaced, or the watch fails."""
    loop = asyncio.get_running_loop()
    places = await in_thread(partial(_places, path))
    stop = asyncio.Event()
    events = awatch(
        *(place.path for place in places.watched),
        *places.folders,
        watch_filter=lambda _change, changed: places.issuer(changed, wants) is not None,
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
        concerned: set[str | None] = {ROOT}
        while ROOT not in concerned or await in_thread(partial(_places, path)) == places:
            await asyncio.wait({pending}, timeout=max(0.0, due - loop.time()))
            if loop.time() >= due:  # even while one issuer's events never stop
                due = loop.time() + interval()
                concerned = {ROOT}
                yield Trigger.PERIOD, EVERYWHERE
            elif pending.done():
                concerned = {places.issuer(changed, wants) for changed in pending.result()}
                if EVERYWHERE in concerned:
                    # Another directory may have the same inode number. The next start yields a trigger.
                    return
                pending = asyncio.create_task(_next(events))
                for issuer in filter(None, concerned):
                    yield Trigger.EVENT, issuer
    finally:
        stop.set()
        with suppress(*_WATCH_ERRORS):
            await pending


def _describe(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return _NO_WATCH_LEFT if "limit reached" in str(exc) else type(exc).__name__


async def _next(events: AsyncIterator[set[tuple[Change, str]]]) -> set[str]:
    """Wait for the next paths with an event."""
    return {path for _change, path in await anext(events, set())}


def _places(path: Path) -> _Places:
    """Follow the path one component at a time, as the kernel does, as far as it exists."""
    here = Path("/")
    ahead = list(path.absolute().parts[1:])
    holders = [here]
    steps = set()
    links = 0
    inside: Mapping[str, _Place] = {}
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
    else:
        inside = _folders(here)
    watched = [place for one in dict.fromkeys((here, here.parent, *holders[1:])) if (place := _place(str(one)))]
    return _Places(str(here), tuple(watched), frozenset(steps), inside)


def _folders(directory: Path) -> Mapping[str, _Place]:
    """List the folders that need a watch; those in a volume's data change only with its link."""
    links = not (directory / DATA_LINK).is_symlink()
    try:
        names = folders(directory, links=links)
    except OSError:
        return {}
    return {place.path: place for name in names if (place := _place(f"{directory}/{name}"))}


def _place(path: str) -> _Place | None:
    """Describe the directory at a path; None if it can't be watched."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called for each of a thousand folders
    except OSError:
        return None
    return _Place(path, status.st_dev, status.st_ino) if os.access(path, os.R_OK) else None
