"""Questions to a filesystem that may hang: one that is not answered in time is left behind, and the rest goes on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from jwks_server.errors import FileUnreadable

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class NoAnswer(OSError):
    """The filesystem does not answer."""


class _LeftBehind(BaseException):
    """Ends a thread that was left behind, once its filesystem answers."""


@dataclass(slots=True)
class _Attempt:
    """Work in a thread of its own.

    Attributes:
        done: Set when the work has ended.
        at: The question that is being asked.
        hangs: The place of the question that the thread was left behind with.
        result: What the work returned.
        error: What it raised.
    """

    done: threading.Event = field(default_factory=threading.Event)
    at: tuple[str] | None = None
    hangs: str | None = None
    result: Any = None
    error: BaseException | None = None


class Patience:
    """Runs work that asks filesystems. No more than one thread waits for each place.

    Args:
        seconds: How long an answer may take.

    Attributes:
        cost: The CPU time that the last work took in its own thread, in seconds.
    """

    def __init__(self, seconds: float = 1.0) -> None:
        self.cost = 0.0
        self._seconds = seconds
        self._hanging: set[str] = set()
        self._here = threading.local()

    def run(self, work: Callable[[], T]) -> T:
        """Do the work in a thread, and again without a place that does not answer; it must ask with ``ask``.

        If there is no thread to be had, the work is done in this one.
        """
        left: set[str] = set()
        while True:
            attempt = _Attempt()
            try:
                threading.Thread(target=self._do, args=(attempt, work), name="jwks-reading", daemon=True).start()
            except RuntimeError:
                self.cost = 0.0
                return work()
            place = self._wait(attempt, self._seconds / (4 if left else 1))
            if place is not None:
                left.add(place)
                _log.warning("no-answer", code=FileUnreadable.code, place=place)
            elif left <= self._hanging:
                break
            else:  # one has answered in the meantime
                left &= self._hanging
        if attempt.error is not None:
            raise attempt.error
        result: T = attempt.result
        return result

    def ask(self, place: str, question: Callable[[], T]) -> T:
        """Ask a question about a place; questions within it, if any, are watched in its stead.

        Raises:
            NoAnswer: An earlier question about it has no answer yet.
        """
        if place in self._hanging:
            raise NoAnswer("it does not answer in time")
        attempt: _Attempt | None = getattr(self._here, "attempt", None)
        if attempt is None:
            return question()
        attempt.at = (place,)
        try:
            return question()
        finally:
            attempt.at = None
            if attempt.hangs is not None:
                raise _LeftBehind

    def _wait(self, attempt: _Attempt, seconds: float) -> str | None:
        """Wait for the end of an attempt; return the place that does not answer, if there is one."""
        last = None
        while not attempt.done.wait(seconds):
            at = attempt.at
            if at is not None and at is last:
                self._hanging.add(at[0])
                attempt.hangs = at[0]
                return at[0]
            last = at
        return None

    def _do(self, attempt: _Attempt, work: Callable[[], object]) -> None:
        self._here.attempt = attempt
        try:
            attempt.result = work()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
            attempt.error = exc
        if attempt.hangs is not None:
            self._hanging.discard(attempt.hangs)
        else:
            self.cost = time.thread_time()
        attempt.done.set()
