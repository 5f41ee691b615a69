"""Blocking work in a thread that doesn't keep the process from ending."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog

_PAUSE_SECONDS = 0.1
_log = structlog.get_logger(__name__)

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run a function in a daemon thread and wait for its result.

    A filesystem that hangs would block a thread of asyncio's pool, and the process waits for that pool when it ends.
    It doesn't wait for a daemon thread. If there is no thread to be had, it is tried again until there is one.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def unless_cancelled(finish: Callable[[], None]) -> None:
        if not outcome.cancelled():
            finish()

    def run() -> None:
        try:
            finish = partial(outcome.set_result, work())
        except BaseException as exc:  # noqa: BLE001 - raised again in the task that waits
            finish = partial(outcome.set_exception, exc)
        with suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
            loop.call_soon_threadsafe(unless_cancelled, finish)

    told = False
    while True:
        try:
            threading.Thread(target=run, name="jwks-blocking", daemon=True).start()
        except RuntimeError as exc:
            if not told:
                _log.warning("thread-missing", reason=str(exc))
            told = True
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return await outcome
