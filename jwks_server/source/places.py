"""The directories to watch: the key directory, the folders in it, and those in which a rename can replace one."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jwks_server.published.catalog import ROOT
from jwks_server.source.patience import Patience
from jwks_server.source.triggers import EVERYWHERE
from jwks_server.source.volume import DATA_LINK, folders

_LINKS_FOLLOWED = 40


class NoWorkingDirectory(RuntimeError):
    """The path is relative, and the directory that the process works in was deleted."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory to watch. Another device or inode shows that another directory took its path."""

    path: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Places:
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
    folders: Mapping[str, Place]
    names: Mapping[str, tuple[Place, ...]]

    def concerned(self, path: str, wants: Callable[[str], bool]) -> frozenset[str]:
        """Tell which issuers an event is about: EVERYWHERE for the way to a directory, none if about no issuer."""
        folder, name = os.path.split(path)
        paths = [os.path.join(one.path, name) for one in self.names.get(folder, ())]  # noqa: PTH118 - a str
        paths += [one.path for one in self.names.get(path, ())]
        return frozenset(issuer for one in paths if (issuer := self._issuer(one, wants)) is not None)

    def is_folder(self, path: str) -> bool:
        """Tell whether an event's path is that of a folder, under any of its names."""
        return path in self.folders or any(one.path in self.folders for one in self.names.get(path, ()))

    def _issuer(self, path: str, wants: Callable[[str], bool]) -> str | None:
        if path in self.steps:
            return EVERYWHERE
        folder, name = os.path.split(path)
        if folder == self.directory:
            return ROOT if wants(name) or self._is_folder(path, name) else None
        return ROOT + folder.rpartition("/")[2] if folder in self.folders and wants(name) else None

    def _is_folder(self, path: str, name: str) -> bool:
        return path in self.folders or (not name.startswith(".") and _may_be_folder(path))


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


def places_at(path: Path, patience: Patience) -> Places:
    """Find what to watch for the directory at a path.

    Args:
        path: The directory; it may be missing, be a link, or be behind links.
        patience: Asks the filesystem.

    Raises:
        NoWorkingDirectory: The path is relative, and the working directory was deleted.
        OSError: The way to the directory can't be followed.
    """
    try:
        absolute = str(path.absolute())
    except FileNotFoundError as exc:
        raise NoWorkingDirectory from exc
    way = patience.ask(absolute, partial(_follow, absolute))
    folders, links = _folders(Path(way.end), patience) if way.whole else ({}, ())
    ways = [way, *links]
    holders = [place for one in ways for holder in one.holders if (place := _place(holder))]
    names: dict[tuple[int, int], dict[str, Place]] = {}
    for place in (*holders, *folders.values()):
        names.setdefault((place.device, place.inode), {})[place.path] = place
    return Places(
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


def _folders(directory: Path, patience: Patience) -> tuple[Mapping[str, Place], Sequence[_Way]]:
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


def _place(path: str) -> Place | None:
    """Describe the directory at a path; None if it can't be watched."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called for each of a thousand folders
    except OSError:
        return None
    return Place(path, status.st_dev, status.st_ino) if os.access(path, os.R_OK) else None


def _may_be_folder(path: str) -> bool:
    """Tell whether there is a folder, or a link, at a path. A link is not followed: its filesystem may hang."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
