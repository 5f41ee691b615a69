"""An aiohttp application at its addresses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from jwks_server.address import AnyAddress
from jwks_server.options.settings import Limits, Listening
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.connections import Connections, LogAccess
from jwks_server.serving.exchange import State
from jwks_server.serving.handshakes import Handshakes
from jwks_server.serving.listeners import Listener
from jwks_server.serving.new_connection import http_connections, new_connection
from jwks_server.serving.response_cache import ResponseCache
from jwks_server.serving.tls_wire import TlsWire
from jwks_server.stats import Traffic


@asynccontextmanager
async def prepared(  # noqa: PLR0913 - what a listener's connections share
    app: web.Application,
    limits: Limits,
    traffic: Traffic,
    *,
    cache: ResponseCache | None = None,
    log_access: LogAccess | None = None,
    private: bool = False,
) -> AsyncIterator[Connections]:
    """Prepare to answer connections with an application, until the context ends.

    Args:
        app: The application.
        limits: What clients may do.
        traffic: Counts what they do.
        cache: The response cache; None to pass every request to the application.
        log_access: As in ``Connections``.
        private: As in ``Connections``.
    """
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        if runner.server is None:
            raise AssertionError("a runner that has been set up has a server")
        yield Connections(runner.server, limits, cache, traffic, log_access, private=private)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(
    connections: Connections,
    addresses: tuple[AnyAddress, ...],
    how: Listening,
    *,
    name: str,
    certificate: Certificate | None = None,
) -> AsyncIterator[None]:
    """Listen at each address until the context ends; then finish what is in progress, within the shutdown timeout.

    Args:
        connections: Where the connections are admitted.
        addresses: Where to listen.
        how: How to listen.
        name: The listener's name, for the log.
        certificate: The certificate for TLS; None for no TLS.

    Raises:
        ListenError: An address can't be listened on.
    """
    factory = tls_connections(connections, certificate) if certificate else http_connections(connections)
    listeners = [Listener(factory, address) for address in addresses]
    flag = "--admin-bind" if name == "admin" else "--bind"
    try:
        for one in listeners:
            await one.open(how, name=name, flag=flag, backlog=connections.limits.backlog)
        yield
    finally:
        await asyncio.gather(*(one.close() for one in listeners))
        await connections.finish(how.shutdown_timeout)


def tls_connections(connections: Connections, certificate: Certificate) -> Callable[[], TlsWire]:
    """Return the protocol factory for a listener with TLS."""
    handshakes = Handshakes(connections)

    def begin() -> TlsWire:
        connection = new_connection(connections)
        connection.state = State.HANDSHAKING
        connections.admit(connection)
        return TlsWire(connection, certificate, handshakes)

    return begin
