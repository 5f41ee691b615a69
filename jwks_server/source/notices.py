"""What the kernel reports about directories that are added and removed one by one. Only this module imports watchfiles.

watchfiles takes its directories when it is opened and has no way to add one, so there are several of it, each for a
group of directories. A new directory gets a group of its own, and small groups are merged, so that there are few.

watchfiles finds out about events by sleeping in short steps. Here, the kernel sends the thread of a group a signal when
there are events (inotify(7)), and only then watchfiles is asked. Without any event nothing runs.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from watchfiles import Change
from watchfiles._rust_notify import RustNotify

from jwks_server.source import inotify
from jwks_server.text import well_formed

# Opening a group keeps the interpreter's lock for 20 us for each directory.
_GROUP = 256
# After the first event, events are collected until there is none for a step, or until the debounce.
_STEP_MS = 1
_DEBOUNCE_MS = 5
_TIMEOUT_MS = 2
# A group is asked this often without a signal, too; the second is for one that can't get any.
_DULL_SECONDS = 1.0
_DEAF_SECONDS = 0.02
# A group that failed is reported no more often.
_FAILURE_SECONDS = 0.05
# The kernel drops events when 16,384 wait, and watchfiles hides that. Long before, everything counts as changed.
_CROWD_BYTES = 128 * 1024
_CROWD = 2000

# A path, and whether another file or directory may be there now.
Events = Collection[tuple[str, bool]]


@dataclass(slots=True, eq=False)
class _Group:
    """One watchfiles.

    Attributes:
        source: What watchfiles runs on.
        paths: The directories that it is here for. It may still report others, which have another group now.
        inotify: The descriptor that it reads the kernel's events from; negative if it was not found.
        armed: Set when signals come.
        lock: Is held while the group's thread ends, or is woken.
        closed: Whether the thread is to end.
    """

    source: RustNotify
    paths: set[str]
    inotify: int
    armed: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False
    thread: int = 0


class Notices:
    """Reports the kernel's events for directories.

    A directory whose events may have been lost is reported as one that may be another.

    Args:
        tell: Called with events, in a thread of its own.
    """

    def __init__(self, tell: Callable[[Events], None]) -> None:
        self._tell = tell
        self._groups: list[_Group] = []
        self._of: dict[str, _Group] = {}

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
        odd = [path for path in new if well_formed(path) != path]
        for path in odd:
            del new[path]
            failures = [RuntimeError("watchfiles takes only names in UTF-8")]
        paths = [*new, *self._small(len(new))]
        for start in range(0, len(paths), _GROUP):
            self._try(paths[start : start + _GROUP], new, failures)
        for group in [group for group in self._groups if not group.paths]:
            self._close(group)
        for failure in failures:
            raise failure

    def close(self) -> None:
        """End the reports."""
        for group in tuple(self._groups):
            self._close(group)

    def _small(self, size: int) -> list[str]:
        """List the directories of groups no larger than a new one, which they are merged into."""
        found: list[str] = []
        for group in sorted(self._groups, key=lambda group: len(group.paths)):
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
        near = inotify.near()
        before = inotify.among(near)
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
        found = inotify.among(near) - before
        if len(found) != 1:  # another thread has opened something meanwhile
            found = inotify.among(inotify.descriptors()) - {group.inotify for group in self._groups}
        group = _Group(source, set(paths), found.pop() if len(found) == 1 else -1)
        threading.Thread(target=self._listen, args=(group,), name="jwks-events", daemon=True).start()
        group.armed.wait()
        for path in paths:
            self._leave(path)
            self._of[path] = group
        self._groups.append(group)

    def _close(self, group: _Group) -> None:
        self._groups.remove(group)
        group.closed = True
        with suppress(RuntimeError):  # the group's thread is asking it right now; it ends with the group
            group.source.close()
        with group.lock:
            if group.thread:
                signal.pthread_kill(group.thread, signal.SIGIO)

    def _listen(self, group: _Group) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGIO})  # unblocked, it would end the process
        pause = _DULL_SECONDS if inotify.signals(group.inotify) else _DEAF_SECONDS
        group.thread = threading.get_ident()
        group.armed.set()
        while not group.closed:
            if events := _take(group):
                self._tell(events)
            signal.sigtimedwait({signal.SIGIO}, pause)
        with group.lock:
            group.thread = 0


def _take(group: _Group) -> Events:
    """Take the events that have come."""
    try:
        while True:
            crowd = inotify.waiting(group.inotify) > _CROWD_BYTES
            taken = group.source.watch(_DEBOUNCE_MS, _STEP_MS, _TIMEOUT_MS, None)
            if not isinstance(taken, str):
                break
            if not inotify.waiting(group.inotify):
                return ()
    except (OSError, RuntimeError):  # a name that is not UTF-8; or the group was closed, and has no paths
        if group.closed:
            return ()
        time.sleep(_FAILURE_SECONDS)
        return _lost(group)
    if crowd or len(taken) > _CROWD:
        return _lost(group)
    return [(path, change != Change.modified) for change, path in taken if not group.paths.isdisjoint(_folders(path))]


def _lost(group: _Group) -> Events:
    return [(path, True) for path in tuple(group.paths)]


def _folders(path: str) -> tuple[str, str]:
    """Name the directories that an event may be from: it is about one, or about something in it."""
    return path, path.rpartition("/")[0] or "/"
