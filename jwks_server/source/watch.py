"""The key directory and the folders in it as a stream of triggers. Only this module imports watchfiles."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from jwks_server.published.catalog import ROOT
from jwks_server.source.patience import Patience
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


class _NoWorkingDirectory(RuntimeError):
    """The path is relative, and the directory that the process works in was deleted."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory to watch. Another device or inode shows that another directory took its path."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Places:
    """The directories to watch: the key directory, and those in which a rename can replace it or a folder in it.

    Attributes:
        directory: The key directory, its links resolved.
        steps: The links and directories on the way to it, and on the way to each folder that is a link.
        folders: The issuers' folders in it, by path.
        names: All paths of each directory, by the one that is watched. The kernel has one watch for a directory, and
            tells its events under one path.
    """

    directory: str
    steps: frozenset[str]
    folders: Mapping[str, _Place]
    names: Mapping[str, tuple[_Place, ...]]

    def concerned(self, path: str, wants: Callable[[str], bool]) -> frozenset[str]:
        """Tell which issuers an event is about: EVERYWHERE for the way to a directory, none if about no issuer."""
        folder, name = os.path.split(path)
        paths = [os.path.join(one.path, name) for one in self.names.get(folder, ())]  # noqa: PTH118 - a str
        paths += [one.path for one in self.names.get(path, ())]
        return frozenset(issuer for one in paths if (issuer := self._issuer(one, wants)) is not None)

    def replaced(self, change: Change, path: str) -> bool:
        """Tell whether an event means that there may be another folder at a path, maybe with the same inode number."""
        return change is not Change.modified and (
            path in self.folders or any(one.path in self.folders for one in self.names.get(path, ()))
        )

    def _issuer(self, path: str, wants: Callable[[str], bool]) -> str | None:
        if path in self.steps:
            return EVERYWHERE
        folder, name = os.path.split(path)
        if folder == self.directory:
            return ROOT if wants(name) or self._is_folder(path, name) else None
        return ROOT + folder.rpartition("/")[2] if folder in self.folders and wants(name) else None

    def _is_folder(self, path: str, name: str) -> bool:
        return path in self.folders or (not name.startswith(".") and _may_be_folder(path))


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
    look = partial(patience.run, partial(_places, path, patience))
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
                if EVERYWHERE in concerned or any(places.replaced(*event) for event in happened):
                    # Another directory may have the same inode number. The next start yields a trigger.
                    return
                pending = asyncio.create_task(_next(events))
                for issuer in concerned:
                    yield Trigger.EVENT, issuer
    finally:
        stop.set()
        with suppress(*_WATCH_ERRORS):
            await pending


def _may_be_folder(path: str) -> bool:
    """Tell whether there is a folder, or a link, at a path. A link is not followed: its filesystem may hang."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _describe(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    if isinstance(exc, _NoWorkingDirectory):
        return "The working directory was deleted; restart with an absolute path."
    return _NO_WATCH_LEFT if "limit reached" in str(exc) else type(exc).__name__


async def _next(events: AsyncIterator[set[tuple[Change, str]]]) -> set[tuple[Change, str]]:
    """Wait for the next events."""
    return await anext(events, set())


@dataclass(frozen=True, slots=True)
class _Way:
    """The way to a directory, as far as it exists.

    Attributes:
        end: Where it ends.
        holders: The directories in which a rename can change it.
        steps: The links and directories on it.
        whole: Whether the directory exists.
    """

    end: str
    holders: tuple[str, ...]
    steps: tuple[str, ...]
    whole: bool


def _places(path: Path, patience: Patience) -> _Places:
    try:
        absolute = str(path.absolute())
    except FileNotFoundError as exc:
        raise _NoWorkingDirectory from exc
    way = patience.ask(absolute, partial(_follow, absolute))
    folders, links = _folders(Path(way.end), patience) if way.whole else ({}, ())
    ways = [way, *links]
    holders = [place for one in ways for holder in one.holders if (place := _place(holder))]
    names: dict[tuple[int, int], dict[str, _Place]] = {}
    for place in (*holders, *folders.values()):
        names.setdefault((place.device, place.inode), {})[place.path] = place
    return _Places(
        way.end,
        frozenset(step for one in ways for step in one.steps),
        folders,
        {next(iter(group)): tuple(group.values()) for group in names.values()},
    )


def _follow(path: str) -> _Way:
    """Follow an absolute path one component at a time, as the kernel does, as far as it exists."""
    here, links = "/", 0
    ahead = path.split("/")[::-1]
    holders, steps = [], []
    while ahead:
        name = ahead.pop()
        if name in {"", "."}:
            continue
        step = os.path.join(here, name)  # noqa: PTH118 - called for each of a thousand folders
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120 - as above
            continue
        steps.append(step)
        target = _target(step) if links < _LINKS_FOLLOWED else None
        if target is not None:
            links += 1
            holders.append(here)
            ahead += target.split("/")[::-1]
            here = "/" if target.startswith("/") else here
        elif os.path.isdir(step):  # noqa: PTH112 - as above
            here = step
        else:
            ahead.append(name)
            break
    above = os.path.dirname(here)  # noqa: PTH120 - as above
    return _Way(here, tuple(dict.fromkeys((here, above, *holders))), tuple(steps), whole=not ahead)


def _target(path: str) -> str | None:
    """Return where a link leads; None if it is not a link."""
    try:
        return os.readlink(path)  # noqa: PTH115 - called for each of a thousand folders
    except OSError:
        return None


def _folders(directory: Path, patience: Patience) -> tuple[Mapping[str, _Place], Sequence[_Way]]:
    """List the folders that need a watch, and the ways of those that are links.

    Those in a volume's data change only with its link. One whose filesystem does not answer is left out.
    """
    found, ways = {}, []

    def add(name: str, is_dir: Callable[[], bool]) -> bool:
        path = f"{directory}/{name}"
        if is_dir() and (place := _place(path)):
            found[path] = place
            ways.append(_follow(path))
        return False

    links = not (directory / DATA_LINK).is_symlink()
    try:
        names = folders(
            directory, links=links, ask=lambda name, ask: patience.ask(f"{directory}/{name}", lambda: add(name, ask))
        )
    except OSError:
        return {}, ()
    found |= {place.path: place for name in names if (place := _place(f"{directory}/{name}"))}
    return found, ways


def _place(path: str) -> _Place | None:
    """Describe the directory at a path; None if it can't be watched."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called for each of a thousand folders
    except OSError:
        return None
    return _Place(path, status.st_dev, status.st_ino) if os.access(path, os.R_OK) else None
