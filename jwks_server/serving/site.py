"""An aiohttp application at its addresses."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from jwks_server.address import AnyAddress
from jwks_server.config import Limits, Listening
from jwks_server.counts import Traffic
from jwks_server.serving.fastpath import connections
from jwks_server.serving.front import Front, LogAccess
from jwks_server.serving.listeners import listening
from jwks_server.serving.memory import Memory
from jwks_server.serving.tls import Certificate, handshakes


@asynccontextmanager
async def prepared(
    app: web.Application,
    limits: Limits,
    traffic: Traffic,
    *,
    memory: Memory | None = None,
    log_access: LogAccess | None = None,
) -> AsyncIterator[Front]:
    """Make ready to answer connections with an application, until the context ends.

    Args:
        app: What answers.
        limits: What clients may do.
        traffic: Counts what they do.
        memory: What was answered before; None to answer every request anew.
        log_access: As the front's.
    """
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        if runner.server is None:
            raise AssertionError("a runner that has been set up has a server")
        yield Front(runner.server, limits, memory, traffic, log_access)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(
    front: Front,
    addresses: tuple[AnyAddress, ...],
    how: Listening,
    *,
    name: str,
    certificate: Certificate | None = None,
) -> AsyncIterator[None]:
    """Listen at each address until the context ends; then finish what is in progress, within the grace period.

    Args:
        front: Has the connections.
        addresses: Where to listen.
        how: How to.
        name: The listener's name, for the log.
        certificate: What is shown over TLS; None for no TLS.

    Raises:
        ListenError: An address can't be listened on.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(front.finish, how.grace)
        factory = handshakes(front, certificate) if certificate else connections(front)
        for address in addresses:
            await stack.enter_async_context(listening(factory, address, how, name=name, backlog=front.limits.backlog))
        yield
