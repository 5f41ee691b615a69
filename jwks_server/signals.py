"""The signals that the server handles, and how it was asked to end."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

import structlog

# SIGUSR1 and SIGUSR2 mean nothing, and would kill the process.
_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)

_log = structlog.get_logger(__name__)


class Ending:
    """How the process was asked to end.

    Attributes:
        asked: Set by the first SIGTERM or SIGINT.
        at_once: Set by the second.
        over: Set when nothing is left to cut.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        self.over = asyncio.Event()

    def ask(self) -> None:
        """Take note of a signal."""
        (self.at_once if self.asked.is_set() else self.asked).set()

    async def pause(self, seconds: float) -> None:
        """Wait for some time, or until the second signal."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.at_once.wait()


def handle(ending: Ending, reload: Callable[[], None]) -> None:
    """Act on signals in the event loop. The handlers outlive it, so that a late signal does not kill the process.

    Args:
        ending: Where SIGTERM and SIGINT are noted.
        reload: Called for SIGHUP.
    """
    loop = asyncio.get_running_loop()

    def act(number: int) -> None:
        match number:
            case signal.SIGHUP:
                reload()
            case signal.SIGTERM | signal.SIGINT:
                ending.ask()
            case _:
                _log.debug("signal-ignored", signal=signal.Signals(number).name)

    def arrived(number: int, _frame: object) -> None:
        with suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(act, number)

    for number in _SIGNALS:
        signal.signal(number, arrived)


def ignore() -> None:
    """Ignore the signals from now on: the process is about to end by itself."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
