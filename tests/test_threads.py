"""Blocking work in a thread that never keeps the process from ending."""

import asyncio
import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs
from support import HANG_SECONDS

from jwks_server.threads import in_thread


async def test_result_and_error() -> None:
    """The result, or the error, of the work comes back, and the work ran in another thread."""
    assert await in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ValueError, match="lost"):
        await in_thread(lambda: int("lost"))


async def test_work_that_nobody_waits_for() -> None:
    """When its waiter was cancelled, the end of the work disturbs nobody."""
    go_on, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        go_on.wait()
        loop.call_soon_threadsafe(ended.set)

    waiting = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await asyncio.wait_for(ended.wait(), HANG_SECONDS)
    assert await in_thread(lambda: "next") == "next"


async def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of threads that is told once, and the work is done as soon as there is a thread again."""
    start, left = threading.Thread.start, [1, 2, 3]

    def at_the_limit(self: threading.Thread) -> None:
        if left:
            left.pop()
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", at_the_limit)
    with capture_logs() as logs:
        assert await in_thread(lambda: "done") == "done"
    assert [(line["event"], line["reason"]) for line in logs] == [("thread-missing", "can't start new thread")]


def test_work_that_never_ends() -> None:
    """A process ends though work of it hangs, as on a file system that does not answer."""
    program = (
        "import asyncio, threading\n"
        "from jwks_server.threads import in_thread\n"
        "async def main():\n"
        "    begun = threading.Event()\n"
        "    task = asyncio.create_task(in_thread(lambda: (begun.set(), threading.Event().wait())))\n"
        "    await asyncio.sleep(0)\n"
        "    begun.wait()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=HANG_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
