"""The directories to watch: the key directory, the folders in it, and those in which a rename can replace one."""

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jwks_server.published.catalog import ROOT
from jwks_server.source.patience import Patience
from jwks_server.source.volume import DATA_LINK, folders
from jwks_server.source.way import Place, Way, follow, place_at


class NoWorkingDirectory(RuntimeError):
    """The path is relative, and the directory that the process works in was deleted."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An issuer's folder.

    Attributes:
        place: Where it is.
        way: The way there, if it is a link.
    """

    place: Place
    way: Way | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """The directories to watch for it."""
        return (self.place, *self.way.holders) if self.way else (self.place,)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to watch at one moment.

    Attributes:
        way: The way to the key directory.
        links: Whether links in it can be issuers' folders. In a volume they lead into its data.
        spots: The folders by their name.
    """

    way: Way
    links: bool
    spots: Mapping[str, Spot]


@dataclass(slots=True)
class About:
    """What events are about.

    Attributes:
        everything: Whether the directory at the path may be another one.
        folders: Whether the folders in it may all be others.
        files: The issuers, each with the name of a file, or None for their whole folder.
        names: The names of the folders to look at; True if another one may have its path, even if it looks the same.
    """

    everything: bool = False
    folders: bool = False
    files: set[tuple[str, str | None]] = field(default_factory=set)
    names: dict[str, bool] = field(default_factory=dict)


class Places:
    """The directories to watch, kept up to date folder by folder.

    The kernel has one watch for a directory, and reports its events under one path, however many it has.

    Args:
        found: What there is to watch.
    """

    def __init__(self, found: Found) -> None:
        self.way = found.way
        self.links = found.links
        self.spots: dict[str, Spot] = {}
        self._steps = frozenset(found.way.steps)
        self._names: defaultdict[str, set[str]] = defaultdict(set)  # the folders, by a step on the way of their link
        self._paths: defaultdict[tuple[int, int], list[str]] = defaultdict(list)  # once for each reason to watch it
        self._watched: dict[tuple[int, int], str] = {}
        self._identities: dict[str, tuple[int, int]] = {}  # by the path that is watched
        self._own = frozenset(place.path for place in found.way.holders)
        self._change((), found.way.holders)
        for name, spot in found.spots.items():
            self.put(name, spot)

    @property
    def watched(self) -> Iterable[str]:
        """One path of each directory to watch."""
        return self._watched.values()

    @property
    def devices(self) -> Mapping[int, str]:
        """One directory of each device that keys may be on."""
        ends = {spot.place.device: spot.way.end if spot.way else spot.place.path for spot in self.spots.values()}
        return ends | {place.device: place.path for place in self.way.holders if place.path == self.way.end}

    def put(self, name: str, spot: Spot | None) -> tuple[set[str], set[str]]:
        """Take in what is at a folder's name now, which may be another folder than before even if it looks the same.

        Returns:
            The paths to watch anew, and those to watch no longer.
        """
        old = self.spots.pop(name, None)
        for step in old.way.steps if old and old.way else ():
            self._names[step].discard(name)
            if not self._names[step]:
                del self._names[step]
        if spot:
            self.spots[name] = spot
            for step in spot.way.steps if spot.way else ():
                self._names[step].add(name)
        return self._change(old.places if old else (), spot.places if spot else ())

    def _change(self, old: Iterable[Place], new: Iterable[Place]) -> tuple[set[str], set[str]]:
        add, drop = set[str](), set[str]()
        for place in old:
            self._paths[place.identity].remove(place.path)
        for place in new:
            self._paths[place.identity].append(place.path)
        for identity in {place.identity for place in (*old, *new)}:
            paths, watched = self._paths[identity], self._watched.get(identity)
            if watched in paths:
                continue
            if watched is not None:
                del self._watched[identity]
                drop.add(watched)
                if self._identities.get(watched) == identity:
                    del self._identities[watched]
            if paths:
                self._watched[identity] = paths[0]
                self._identities[paths[0]] = identity
                add.add(paths[0])
            else:
                del self._paths[identity]
        add |= {self._watched[place.identity] for place in new if place.path not in self._own}
        return add, drop - add

    def about(self, path: str, wants: Callable[[str], bool], about: About, *, other: bool) -> None:
        """Add what an event is about.

        Args:
            path: The path that the event names.
            wants: Reports whether a name in the directory, or in an issuer's folder, matters.
            about: What to add it to.
            other: Whether another directory or file may be at the path now.
        """
        folder, name = os.path.split(path)
        names = self._paths.get(self._identities[folder], ()) if folder in self._identities else ()
        paths = {os.path.join(one, name) for one in names}  # noqa: PTH118 - a str
        if path in self._identities:
            paths |= set(self._paths.get(self._identities[path], ()))
        for one in paths:
            if one in self._steps:
                about.everything = True
            for linked in self._names.get(one, ()):
                self._look(linked, about, other=other)
            self._inside(one, wants, about, other=other)

    def _inside(self, path: str, wants: Callable[[str], bool], about: About, *, other: bool) -> None:
        above, name = os.path.split(path)
        if above == self.way.end:
            if wants(name):
                about.files.add((ROOT, None if name == DATA_LINK else name))
            about.folders |= name == DATA_LINK
            if name in self.spots or (not name.startswith(".") and _may_be_folder(path, links=self.links)):
                self._look(name, about, other=other)
        elif os.path.dirname(above) == self.way.end and wants(name):  # noqa: PTH120 - a str
            issuer = os.path.basename(above)  # noqa: PTH119 - a str
            if issuer in self.spots:
                about.files.add((ROOT + issuer, None if name == DATA_LINK else name))

    def _look(self, name: str, about: About, *, other: bool) -> None:
        about.names[name] = about.names.get(name, False) or other


def find(path: Path, patience: Patience) -> Found:
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
    way = patience.ask(absolute, partial(follow, absolute))
    if not way.whole:
        return Found(way, links=True, spots={})
    links = not os.path.islink(f"{way.end}/{DATA_LINK}")  # noqa: PTH114 - a str
    linked: dict[str, Spot] = {}

    def keep(name: str, is_dir: Callable[[], bool]) -> bool:
        if is_dir() and (spot := _spot(f"{way.end}/{name}", linked=True)):
            linked[name] = spot
        return False

    try:
        names = folders(
            Path(way.end), links=links, ask=lambda name, ask: patience.ask(f"{way.end}/{name}", lambda: keep(name, ask))
        )
    except OSError:
        return Found(way, links=links, spots={})
    plain = {name: spot for name in names if (spot := _spot(f"{way.end}/{name}", linked=False))}
    return Found(way, links=links, spots=linked | plain)


def look(directory: str, names: Iterable[str], patience: Patience, *, links: bool) -> Mapping[str, Spot | None]:
    """Look at some names in the key directory; one that is no folder, or doesn't answer, has None."""
    found: dict[str, Spot | None] = {}
    for name in names:
        path = f"{directory}/{name}"
        try:
            linked = os.path.islink(path)  # noqa: PTH114 - a str
            found[name] = patience.ask(path, partial(_spot, path, linked=linked)) if links or not linked else None
        except OSError:
            found[name] = None
    return found


def _spot(path: str, *, linked: bool) -> Spot | None:
    """Describe the folder at a path; None if there is none, or it can't be watched."""
    place = place_at(path) if os.path.isdir(path) else None  # noqa: PTH112 - a str
    return Spot(place, follow(path) if linked else None) if place else None


def _may_be_folder(path: str, *, links: bool) -> bool:
    """Report whether a folder, or a link that counts, is at a path. It is not followed: its filesystem may hang."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) or (links and stat.S_ISLNK(mode))
