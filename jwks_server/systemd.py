"""The systemd protocols: service notifications (sd_notify(3)) and socket activation (sd_listen_fds(3)).

Without systemd nothing is sent, and there are no sockets.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from jwks_server.address import Descriptor
from jwks_server.errors import ConfigError

_MICROSECONDS = 1_000_000
_FIRST_DESCRIPTOR = 3
_MAX_DIGITS = 5


def ready() -> None:
    """Notify systemd that the start or a reload has finished."""
    _send("READY=1")


def reloading() -> None:
    """Notify systemd that a reload has begun; ``ready`` ends it."""
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping(seconds: float) -> None:
    """Notify systemd that the process is about to end.

    Args:
        seconds: How long that may take. If TimeoutStopSec= is shorter, systemd waits so long nevertheless.
    """
    _send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")


async def keep_watchdog() -> None:
    """Notify systemd twice in each watchdog period that the event loop still runs; never returns."""
    value = os.environ.get("WATCHDOG_USEC", "0")
    microseconds = int(value) if value.isascii() and value.isdigit() else 0
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not microseconds:
        await asyncio.Event().wait()
    while True:
        _send("WATCHDOG=1")
        await asyncio.sleep(microseconds / _MICROSECONDS / 2)


def passed_sockets(environment: Mapping[str, str], pid: int) -> tuple[tuple[str, Descriptor], ...]:
    """List the listening sockets that systemd passed to this process, each with its name.

    Args:
        environment: The process's environment variables.
        pid: The process's number; sockets for another process are not listed.

    Raises:
        ConfigError: LISTEN_FDS is not a number.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return ()
    value = environment.get("LISTEN_FDS", "0")
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise ConfigError(f"LISTEN_FDS={value} is not a number of sockets; start the program through systemd.")
    number = int(value)
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * number
    return tuple((names[index], Descriptor(_FIRST_DESCRIPTOR + index)) for index in range(number))


def _send(text: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # A path that starts with @ is in the abstract namespace. If systemd doesn't read the message, the server still
    # works, so it neither fails nor waits.
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as channel:
        channel.connect("\0" + path[1:] if path.startswith("@") else path)
        channel.send(text.encode("utf-8"))
