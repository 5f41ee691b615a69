"""A directory that may be swapped while it is read: it is opened once, and read again if it was swapped meanwhile."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Ask = Callable[[str, Callable[[], bool]], bool]

# The link that kubelet and the CSI driver swap; its rename is the only moment at which a volume is whole.
DATA_LINK = "..data"
_SWAPS_TOLERATED = 8
# The longest tick of a filesystem's clock.
_CLOCK_TICK_NS = 2_000_000_000


class DataLinkBroken(OSError):
    """A volume's data link leads nowhere. The volume is there, so nothing that was in it counts as removed."""


@dataclass(frozen=True, slots=True)
class Open:
    """An open folder.

    Attributes:
        top: The folder's descriptor.
        link: Where its ``..data`` leads; None if the folder is not a Kubernetes volume.
        data: The descriptor of its contents: through the link if there is one.
    """

    top: int
    link: str | None
    data: int

    @property
    def identity(self) -> tuple[int, int]:
        """The device and inode, which change when the folder itself is swapped."""
        status = os.fstat(self.top)
        return status.st_dev, status.st_ino


@dataclass(frozen=True, slots=True)
class Arrival:
    """How the folder that is at a place now came there.

    Attributes:
        identity: Its device and inode; None if no folder was seen at the place yet.
        way: Where the links on the way to it led.
        seen_ns: When it was last seen there, in nanoseconds since the epoch.
        whole: Whether it was put there as a whole.
    """

    identity: tuple[int, int] | None = None
    way: str | None = None
    seen_ns: int = 0
    whole: bool = False


def arrived(top: int, last: Arrival, way: Callable[[], str | None]) -> Arrival:
    """Look at the folder at a place again, and tell how it came there.

    A rename, a link and a mount put a folder there that is whole. One that was made there is filled only after that.
    A rename sets the folder's ctime and leaves its mtime; a new entry sets both. Where that can't be told apart, since
    all of it happened within one tick of the filesystem's clock, the folder counts as being filled.

    Args:
        top: The open folder.
        last: What the last look said.
        way: Returns where the links on the way to it lead; called only if it is another folder.
    """
    status, now_ns = os.fstat(top), time.time_ns()
    identity = status.st_dev, status.st_ino
    if identity == last.identity:
        return replace(last, seen_ns=now_ns, whole=False)
    leads = way()
    linked = last.identity is not None and (leads != last.way or identity[0] != last.identity[0])
    renamed = status.st_mtime_ns < status.st_ctime_ns or status.st_mtime_ns < last.seen_ns - _CLOCK_TICK_NS
    return Arrival(identity, leads, now_ns, whole=linked or renamed)


def steadily(read: Callable[[Open], T], path: Path | str, parent: int | None = None) -> T | None:
    """Open and read a folder, and do it again if the folder or its data link was swapped meanwhile.

    Args:
        read: Reads below the open folder only, so that no swap can mix two.
        path: Where the folder is.
        parent: The open directory that a relative path starts from.

    Returns:
        What was read; None if the folder was swapped each time.

    Raises:
        DataLinkBroken: The folder is there, but its data link leads nowhere.
        OSError: The folder can't be opened or read.
    """
    for _ in range(_SWAPS_TOLERATED):
        with descriptor(path, parent) as top:
            link = _data_link(top)
            try:
                with nullcontext(top) if link is None else descriptor(link, top) as data:
                    found = read(Open(top, link, data))
            except (FileNotFoundError, NotADirectoryError) as exc:
                if _unmoved(top, link, path, parent):
                    if link is None:
                        raise
                    raise DataLinkBroken(f"its link {DATA_LINK} leads nowhere") from exc
                continue
            if _unmoved(top, link, path, parent):
                return found
    return None


@contextmanager
def descriptor(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """Open a directory for as long as the block runs.

    Raises:
        OSError: It does not exist, or it can't be opened.
    """
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield opened
    finally:
        os.close(opened)


def _data_link(top: int) -> str | None:
    """Read the link of a Kubernetes volume; return None if the directory is not one."""
    try:
        return os.readlink(DATA_LINK, dir_fd=top)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # there is something of that name, but it is not a link
            return None
        raise


def _unmoved(top: int, link: str | None, path: Path | str, parent: int | None) -> bool:
    """Return whether the open directory is still the one at the path, with the same data link."""
    return os.path.samestat(os.fstat(top), os.stat(path, dir_fd=parent)) and _data_link(top) == link


def folders(directory: int | Path, *, links: bool, ask: Ask | None = None) -> set[str]:
    """List the folders in a directory, and optionally links to folders; never names with a leading dot.

    Args:
        directory: The directory.
        links: Whether to list links.
        ask: Asks where a link leads, by the link's name: the filesystem there may hang.

    Raises:
        OSError: It can't be listed.
    """
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries if not entry.name.startswith(".") and _is_dir(entry, links, ask)}


def _is_dir(entry: os.DirEntry[str], links: bool, ask: Ask | None) -> bool:  # noqa: FBT001 - passed through
    if not entry.is_symlink():
        return entry.is_dir(follow_symlinks=False)
    try:
        return links and (ask(entry.name, entry.is_dir) if ask else entry.is_dir())
    except OSError:  # a link that leads to itself, or to a place that we may not read
        return False
