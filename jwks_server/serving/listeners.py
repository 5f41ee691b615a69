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
from jwks_server.serving.protocol import Protocol

# A burst of clients waits in the kernel's queue; with the usual 128 the rest of them retry after a second.
_BACKLOG = 4096
# Kubernetes kills after 30 s.
_SHUTDOWN_SECONDS = 10

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def listening(app: web.Application, addresses: Sequence[Address]) -> AsyncIterator[None]:
    """Serve the application at each address until the context ends; then finish what is in progress.

    Raises:
        ListenError: An address is taken, isn't this machine's, or isn't permitted.
    """
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        server = runner.server
        if server is None:
            raise AssertionError("a runner that has been set up has a server")
        async with AsyncExitStack() as stack:
            for address in addresses:
                stack.push_async_callback(_close, await _listen(lambda: Protocol(server), address))
            yield
    finally:
        await runner.cleanup()


async def _listen(factory: Callable[[], Protocol], address: Address) -> asyncio.Server:
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
