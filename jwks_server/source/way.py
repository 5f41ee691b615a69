"""The way to a directory: the links and directories that a rename can change, and where it ends."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LINKS_FOLLOWED = 40
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A directory to watch. Another device or inode shows that another directory took its path."""

    path: str
    device: int
    inode: int

    @property
    def identity(self) -> tuple[int, int]:
        """What the kernel has one watch for."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a directory, as far as it exists.

    Attributes:
        end: Where it ends.
        holders: The directories in which a rename can change it.
        steps: The links and directories on it.
        whole: Whether the directory exists.
    """

    end: str
    holders: tuple[Place, ...]
    steps: tuple[str, ...]
    whole: bool


def follow(path: str) -> Way:
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
    places = (place_at(holder) for holder in dict.fromkeys((here, above, *holders)))
    return Way(here, tuple(filter(None, places)), tuple(steps), whole=not ahead)


def real(path: str | Path) -> str:
    """Resolve the links in a path. Python's own function fails if a link is removed while it looks at it."""
    for _ in range(_LOOKS):
        with suppress(OSError):
            return os.path.realpath(path)
    return os.path.abspath(path)  # noqa: PTH100 - as the others here


def place_at(path: str) -> Place | None:
    """Describe the directory at a path; None if it can't be watched."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called for each of a thousand folders
    except OSError:
        return None
    return Place(path, status.st_dev, status.st_ino) if os.access(path, os.R_OK) else None


def _target(path: str) -> str | None:
    """Return where a link leads; None if it is not a link."""
    try:
        return os.readlink(path)  # noqa: PTH115 - called for each of a thousand folders
    except OSError:
        return None
