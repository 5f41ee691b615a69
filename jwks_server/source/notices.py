"""What the kernel reports about directories that are added and removed one by one. Only this module imports watchfiles.

watchfiles takes its directories when it is opened and has no way to add one, so there are several of it, each for a
group of directories. A new directory gets a group of its own, and small groups are merged, so that there are few.

watchfiles finds out about events by sleeping in short steps. One thread sleeps here instead, until the kernel has
something to read for one of the groups; without any event nothing runs.
"""

import fcntl
import itertools
import os
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from watchfiles import Change
from watchfiles._rust_notify import RustNotify

# Opening a group keeps the interpreter's lock for 20 us for each directory.
_GROUP = 256
# After the first event, events are collected until there is none for a step, or until the debounce.
_STEP_MS = 1
_DEBOUNCE_MS = 5
_TIMEOUT_MS = 2
# If the kernel can't say when there is something to read, each group is asked this often.
_DEAF_SECONDS = 0.02
# A group that failed is reported no more often.
_FAILURE_SECONDS = 0.05
# The kernel drops events when 16,384 wait, and watchfiles hides that. Long before, everything counts as changed.
_CROWD_BYTES = 128 * 1024
_CROWD = 2000
# watchfiles opens three descriptors.
_NEAR = 8
_CLOSING_STEPS = 50

# A path, and whether another file or directory may be there now.
Events = Collection[tuple[str, bool]]


@dataclass(slots=True, eq=False)
class _Group:
    """One watchfiles.

    Attributes:
        source: What watchfiles runs on.
        paths: The directories that it is here for. It may still report others, which have another group now.
        own: The descriptor that it reads the kernel's events from; negative if it was not found.
        bell: A copy of that descriptor, which is readable when there are events. Only watchfiles reads from it.
    """

    source: RustNotify
    paths: set[str]
    own: int = -1
    bell: int = -1


class Notices:
    """Reports the kernel's events for directories.

    A directory whose events may have been lost is reported as one that may be another.

    Args:
        tell: Called with events, in a thread of its own.
    """

    def __init__(self, tell: Callable[[Events], None]) -> None:
        self._tell = tell
        self._groups: dict[int, _Group] = {}  # by the bell; without one, by a negative number
        self._numbers = itertools.count(1)
        self._of: dict[str, _Group] = {}
        self._ready = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._ready.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def paths(self) -> Collection[str]:
        """The directories that events are reported about."""
        return self._of.keys()

    def follow(self, add: Iterable[str], drop: Iterable[str] = ()) -> None:
        """Report about other directories too, and no longer about some.

        A directory that is reported about already is opened anew, since another one may have its path by now.
        One that is not there, or may not be read, is left out.

        Args:
            add: The paths of the directories.
            drop: The paths of those to leave out.

        Raises:
            OSError: The kernel has no watch left for some of them; the others are reported about.
            RuntimeError: watchfiles has no descriptor left, or failed otherwise.
        """
        new = dict.fromkeys(add)
        for path in (*new, *drop):
            self._leave(path)
        failures: list[OSError | RuntimeError] = []
        paths = [*new, *self._small(len(new))]
        for start in range(0, len(paths), _GROUP):
            self._try(paths[start : start + _GROUP], new, failures)
        for key, group in tuple(self._groups.items()):
            if not group.paths:
                self._close(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="jwks-events", daemon=True)
            self._thread.start()
        os.eventfd_write(self._wake, 1)
        for failure in failures:
            raise failure

    def close(self) -> None:
        """End the reports."""
        self._closing = True
        if self._thread:
            os.eventfd_write(self._wake, 1)
        else:
            self._end()

    def _end(self) -> None:
        for key in tuple(self._groups):
            self._close(key)
        self._ready.close()
        os.close(self._wake)

    def _small(self, size: int) -> list[str]:
        """List the directories of groups no larger than a new one, which they are merged into."""
        found: list[str] = []
        for group in sorted(self._groups.values(), key=lambda group: len(group.paths)):
            if not size or len(group.paths) > min(size, _GROUP - size):
                break
            size += len(group.paths)
            found += group.paths
        return found

    def _leave(self, path: str) -> None:
        if group := self._of.pop(path, None):
            group.paths.discard(path)

    def _try(self, paths: list[str], new: Collection[str], failures: list[OSError | RuntimeError]) -> None:
        """Open a group; if it can't be as large, one of the new directories alone."""
        try:
            self._open(paths)
        except (OSError, RuntimeError) as exc:
            alone = [path for path in paths if path in new]
            if len(alone) == len(paths):
                failures.append(exc)
            elif alone:
                self._try(alone, new, failures)

    def _open(self, paths: list[str]) -> None:
        near = _next_descriptor()
        before = _inotifies(range(near, near + _NEAR))
        try:
            source = RustNotify(
                paths,
                debug=False,
                force_polling=False,
                poll_delay_ms=300,
                recursive=False,
                ignore_permission_denied=False,  # True would also hide that the kernel has no watch left
            )
        except (FileNotFoundError, PermissionError):  # it has vanished since it was looked at
            there = [path for path in paths if os.access(path, os.R_OK)]
            if len(there) == len(paths):
                raise
            if there:
                self._open(there)
            return
        own = _inotifies(range(near, near + _NEAR)) - before
        if len(own) != 1:  # another thread has opened something meanwhile
            known = {descriptor for group in self._groups.values() for descriptor in (group.own, group.bell)}
            own = _inotifies(_descriptors()) - known
        group = _Group(source, set(paths))
        key = -next(self._numbers)
        if len(own) == 1:
            (group.own,) = own
            key = group.bell = os.dup(group.own)
        for path in paths:
            self._leave(path)
            self._of[path] = group
        self._groups[key] = group
        if group.bell >= 0:
            self._ready.register(group.bell, select.EPOLLIN)

    def _close(self, key: int) -> None:
        group = self._groups.pop(key)
        group.source.close()
        if group.bell < 0:
            return
        with suppress(OSError):
            self._ready.unregister(group.bell)
        os.close(group.bell)
        for _ in range(_CLOSING_STEPS):  # the number must be free before the next group is opened
            if not _inotifies((group.own,)):
                break
            time.sleep(0.001)

    def _listen(self) -> None:
        while not self._closing:
            deaf = [group for group in tuple(self._groups.values()) if group.bell < 0]
            ready = self._ready.poll(_DEAF_SECONDS if deaf else None)
            for bell, _ in ready:
                if bell == self._wake:
                    os.eventfd_read(bell)
                elif group := self._groups.get(bell):
                    deaf.append(group)
            for group in deaf:
                if events := self._take(group):
                    self._tell(events)
        self._end()

    def _take(self, group: _Group) -> Events:
        """Take the events that have come."""
        try:
            crowd = group.bell >= 0 and _waiting(group.bell) > _CROWD_BYTES
            taken = group.source.watch(_DEBOUNCE_MS, _STEP_MS, _TIMEOUT_MS, None)
        except (OSError, RuntimeError):  # a name that is not UTF-8; or the group was closed, and has no paths
            with suppress(OSError):
                self._ready.unregister(group.bell)
            time.sleep(_FAILURE_SECONDS)
            return _lost(group)
        if isinstance(taken, str):
            return ()
        if crowd or len(taken) > _CROWD:
            return _lost(group)
        return [
            (path, change != Change.modified) for change, path in taken if not group.paths.isdisjoint(_folders(path))
        ]


def _lost(group: _Group) -> Events:
    return [(path, True) for path in tuple(group.paths)]


def _folders(path: str) -> tuple[str, str]:
    """Name the directories that an event may be from: it is about one, or about something in it."""
    return path, path.rpartition("/")[0] or "/"


def _waiting(bell: int) -> int:
    """Return how many bytes of events wait in the kernel."""
    (size,) = struct.unpack("i", fcntl.ioctl(bell, termios.FIONREAD, b"\0" * 4))
    return int(size)


def _next_descriptor() -> int:
    """Return the number that the next descriptor will have, unless another thread opens one meanwhile."""
    descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
    os.close(descriptor)
    return descriptor


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - they are numbers
    except OSError:
        return []


def _inotifies(descriptors: Iterable[int]) -> set[int]:
    """Return those of the descriptors that the kernel's events are read from."""
    found = set()
    for one in descriptors:
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{one}") == "anon_inode:inotify":  # noqa: PTH115 - of a number
                found.add(one)
    return found
