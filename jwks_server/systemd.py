"""Tells systemd what this process is doing (sd_notify(3)); without systemd nothing is told."""

import asyncio
import os
import socket
import time
from contextlib import suppress

_MICROSECONDS = 1_000_000


def ready() -> None:
    """Tell that start-up or a reload is done."""
    _send("READY=1")


def reloading() -> None:
    """Tell that a reload has begun; ``ready`` ends it."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """Tell that the process is about to end."""
    _send("STOPPING=1")


async def keep_watchdog() -> None:
    """Tell twice in each of the watchdog's periods, for ever, that the event loop still answers."""
    said = os.environ.get("WATCHDOG_USEC", "0")
    microseconds = int(said) if said.isascii() and said.isdigit() else 0
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds:
        await asyncio.Event().wait()
    while True:
        _send("WATCHDOG=1")
        await asyncio.sleep(microseconds / _MICROSECONDS / 2)


def _send(text: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # A path that starts with @ is in the abstract namespace. A manager that doesn't listen, or not now, is no reason to
    # fail or to wait.
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as channel:
        channel.connect("\0" + path[1:] if path.startswith("@") else path)
        channel.send(text.encode("utf-8"))
