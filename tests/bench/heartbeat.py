"""Runs the server with a heartbeat: a timer of 1 ms in its event loop, which shows how long the loop was blocked.

``heartbeat.py serve ...`` takes the server's own command line. At SIGUSR1 it prints the longest time between two beats
since the last SIGUSR1, in seconds: the CPU time that the loop's thread used, and the time that passed. The second one
includes the wait for the interpreter's lock, and for a core. At SIGUSR2 it pauses, or goes on, since the beats
themselves cost CPU time.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jwks_server.imports import lighten

# The server that the bench runs, as the first part of its command line.
COMMAND = (sys.executable, str(Path(__file__).resolve()))
_BEAT_SECONDS = 0.001


def blocked(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Return the longest CPU time and the longest time between two beats since the last call, in milliseconds."""
    process.send_signal(signal.SIGUSR1)
    line = process.stdout.readline() if process.stdout else b""
    used, passed = map(float, line.split())
    return used * 1e3, passed * 1e3


def toggle(process: subprocess.Popen[bytes]) -> None:
    """Pause the beats, or let them go on."""
    process.send_signal(signal.SIGUSR2)


async def _beat() -> None:
    used = passed = 0.0
    beats = asyncio.Event()
    beats.set()

    def show() -> None:
        nonlocal used, passed
        sys.stdout.write(f"{used} {passed}\n")
        sys.stdout.flush()
        used = passed = 0.0

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, show)
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR2, lambda: beats.clear() if beats.is_set() else beats.set()
    )
    while await beats.wait():
        cpu, moment = time.thread_time(), time.perf_counter()
        await asyncio.sleep(_BEAT_SECONDS)
        used = max(used, time.thread_time() - cpu)
        passed = max(passed, time.perf_counter() - moment - _BEAT_SECONDS)


def _main() -> None:
    lighten()
    from jwks_server import cli, service
    from jwks_server.options.settings import Settings
    from jwks_server.serving.listeners import Listener

    serve = service.serve

    async def beating(settings: Settings, listeners: Sequence[Listener], admin_listeners: Sequence[Listener]) -> None:
        beats = asyncio.create_task(_beat())
        await serve(settings, listeners, admin_listeners)
        beats.cancel()

    service.serve = beating
    cli.main()


if __name__ == "__main__":
    _main()
