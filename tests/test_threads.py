"""Blocking work in a thread."""

import asyncio
import threading

import pytest

from jwks_server.threads import in_thread


async def test_result_and_error() -> None:
    """The result of the function is returned, and its error raised."""
    assert await in_thread(lambda: 5) == 5
    with pytest.raises(KeyError, match="missing"):
        await in_thread(lambda: dict[str, int]()["missing"])


async def test_daemon_thread() -> None:
    """The work runs in a daemon thread, for which the process doesn't wait."""
    thread = await in_thread(threading.current_thread)
    assert thread.daemon
    assert thread is not threading.current_thread()


async def test_cancelled() -> None:
    """A task that stops waiting is not disturbed by a result that comes later."""
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        done.set()

    waiting = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()
    await in_thread(done.wait)
    await asyncio.sleep(0)
