"""Rolling restarts under load: test_rollouts.py does a few of each kind, bench/rollouts.py 100,000 answers."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from booted import Machine
from called import Called, called
from support import HANG_SECONDS, Running, serving

_FOR_EVER = 3600.0
_AT_LEAST = 2


async def by_reuse_port(keys: Path, answers: int, pace: int) -> tuple[Called, int]:
    """Start a new process on the same port, then end the old one; again and again.

    Args:
        keys: The directory to serve.
        answers: How many answers there are in the end, at least.
        pace: How many answers there are between two steps.

    Returns:
        What the clients counted, and the number of rollouts.
    """
    with socket.socket() as reserved:  # it has the port, but doesn't listen
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

        async with AsyncExitStack() as stack:

            async def started() -> Running:
                return await stack.enter_async_context(serving(keys, "--bind", f"127.0.0.1:{port}", "--reuse-port"))

            old, rollouts = await started(), 0
            async with called(port) as clients:
                while rollouts < _AT_LEAST or await clients.total() < answers:
                    new = await started()
                    await clients.more(pace)
                    old.process.send_signal(signal.SIGTERM)
                    assert await old.end() == 0
                    await clients.more(pace)
                    old, rollouts = new, rollouts + 1
    return clients, rollouts


async def by_kubernetes(
    keys: Path,
    answers: int,
    pace: int,
    removed: Callable[[], Awaitable[object]] | None = None,
    drain: float = _FOR_EVER,
) -> tuple[Called, int]:
    """Do as a Deployment does: the old pod gets requests after its SIGTERM, until its endpoint is removed.

    Args:
        keys: As in ``by_reuse_port``.
        answers: As in ``by_reuse_port``.
        pace: As in ``by_reuse_port``.
        removed: Returns when the endpoint is to be removed; by default after ``pace`` more answers.
        drain: The server's ``--drain``; with the default, a second SIGTERM ends the drain when no client is left.

    Returns:
        As in ``by_reuse_port``.
    """
    async with AsyncExitStack() as stack:

        async def started() -> Running:
            pod = await stack.enter_async_context(serving(keys, "--drain", str(drain)))
            stack.callback(_kill, pod)
            return pod

        old, rollouts = await started(), 0
        async with called(old.port) as clients:
            while rollouts < _AT_LEAST or await clients.total() < answers:
                new = await started()
                await clients.use(old.port, new.port)
                await clients.more(pace)
                old.process.send_signal(signal.SIGTERM)
                await (removed() if removed else clients.more(pace))
                await clients.use(new.port)
                if drain == _FOR_EVER:
                    await _left(old)
                    old.process.send_signal(signal.SIGTERM)
                assert await old.end() == 0
                old, rollouts = new, rollouts + 1
    return clients, rollouts


async def by_sockets(machine: Machine, answers: int, pace: int) -> tuple[Called, int]:
    """Restart systemd's instances 1 and 2 in turn; their sockets stay.

    Args:
        machine: Where they run.
        answers: As in ``by_reuse_port``.
        pace: As in ``by_reuse_port``.

    Returns:
        As in ``by_reuse_port``.
    """
    rollouts = 0
    async with called(8080, through=machine.network) as clients:
        while rollouts < _AT_LEAST or await clients.total() < answers:
            await asyncio.to_thread(machine.run, "systemctl", "restart", f"jwks-server@{rollouts % 2 + 1}.service")
            await clients.more(pace)
            rollouts += 1
    return clients, rollouts


def _kill(server: Running) -> None:
    """End the last server, which would drain for ever."""
    if server.process.returncode is None:
        server.process.kill()


async def _left(server: Running) -> None:
    """Wait until every client has left a server that is draining."""
    async with asyncio.timeout(HANG_SECONDS), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{server.admin}/metrics") as reply:
                if "\njwks_server_connections_open 0.0\n" in await reply.text():
                    return
            await asyncio.sleep(0.02)
