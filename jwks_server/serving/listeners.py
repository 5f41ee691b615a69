"""Sockets that accept connections."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiohttp import web

from jwks_server.config import Address
from jwks_server.errors import ListenError
from jwks_server.serving.fastpath import Front
from jwks_server.serving.memory import Memory

# A burst of clients waits in the kernel's queue; with the usual 128 the rest of them retry after a second.
_BACKLOG = 4096
# Kubernetes kills after 30 s.
_SHUTDOWN_SECONDS = 10

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def listening(app: web.Application, addresses: Sequence[Address], memory: Memory | None) -> AsyncIterator[None]:
    """Serve the application at each address until the context ends; then finish what is in progress.

    Args:
        app: What answers.
        addresses: Where to listen.
        memory: What was answered before; None to answer every request anew.

    Raises:
        ListenError: An address is taken, isn't this machine's, or isn't permitted.
    """
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        server = runner.server
        if server is None:
            raise AssertionError("a runner that has been set up has a server")
        front = Front(server, memory)
        async with AsyncExitStack() as stack:
            stack.callback(front.close_idle)
            stack.callback(asyncio.create_task(front.close_silent(), name="close-silent").cancel)
            for address in addresses:
                stack.push_async_callback(_close, await _listen(front, address))
            yield
    finally:
        await runner.cleanup()


async def _listen(factory: Callable[[], asyncio.Protocol], address: Address) -> asyncio.Server:
    try:
        server = await asyncio.get_running_loop().create_server(factory, address.host, address.port, backlog=_BACKLOG)
    except socket.gaierror as exc:
        raise ListenError(f"{address} can't be listened on: no such host; choose another with --bind.") from exc
    except OSError as exc:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ListenError(f"{address} can't be listened on ({reason}); choose another with --bind.") from exc
    for listener in server.sockets:
        host, port, *_ = listener.getsockname()
        _log.info("listening", address=str(Address(host, port)))
    return server


async def _close(server: asyncio.Server) -> None:
    server.close()
