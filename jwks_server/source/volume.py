"""A directory that may be swapped while it is read: it is opened once, and read again if it was swapped meanwhile."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# The link that kubelet and the CSI driver swap; its rename is the only moment at which a volume is whole.
DATA_LINK = "..data"
_SWAPS_TOLERATED = 8


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


def steadily(read: Callable[[Open], T], path: Path | str, parent: int | None = None) -> T | None:
    """Open and read a folder, and do it again if the folder or its data link was swapped meanwhile.

    Args:
        read: Reads below the open folder only, so that no swap can mix two.
        path: Where the folder is.
        parent: The open directory that a relative path starts from.

    Returns:
        What was read; None if the folder was swapped each time.

    Raises:
        OSError: It can't be opened or read; FileNotFoundError also if the data link leads nowhere.
    """
    for _ in range(_SWAPS_TOLERATED):
        with descriptor(path, parent) as top:
            link = _data_link(top)
            try:
                with nullcontext(top) if link is None else descriptor(link, top) as data:
                    found = read(Open(top, link, data))
            except FileNotFoundError:
                if _unmoved(top, link, path, parent):
                    raise
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


def folders(directory: int | Path, *, links: bool) -> set[str]:
    """List the folders in a directory, and optionally links to folders; never names with a leading dot.

    Raises:
        OSError: It can't be listed.
    """
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries if not entry.name.startswith(".") and _is_dir(entry, links)}


def _is_dir(entry: os.DirEntry[str], links: bool) -> bool:  # noqa: FBT001 - passed through
    try:
        return entry.is_dir(follow_symlinks=links)
    except OSError:  # a link that leads to itself, or to a place that we may not read
        return False
