"""An aiohttp application at its addresses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

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


@contextmanager
def taken(addresses: Sequence[AnyAddress], how: Listening, *, name: str) -> Iterator[Sequence[Listener]]:
    """Take each address, so that no other process gets it, until the context ends.

    Args:
        addresses: Where to listen.
        how: How to listen.
        name: The listener's name, for the log.

    Raises:
        ListenError: An address can't be listened on.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners.append(Listener(address, how, name=name))  # noqa: PERF401 - those before a failure are left
        yield listeners
    finally:
        for one in listeners:
            one.leave()


@asynccontextmanager
async def opened(
    connections: Connections,
    listeners: Sequence[Listener],
    *,
    shutdown_timeout: float,
    certificate: Certificate | None = None,
) -> AsyncIterator[None]:
    """Listen at each address until the context ends; then finish what is in progress.

    Args:
        connections: Where the connections are admitted.
        listeners: The addresses, which are taken.
        shutdown_timeout: How long to wait for what is in progress, in seconds.
        certificate: The certificate for TLS; None for no TLS.

    Raises:
        ListenError: An address can't be listened on.
    """
    factory = tls_connections(connections, certificate) if certificate else http_connections(connections)
    try:
        for one in listeners:
            await one.open(factory, connections.limits.backlog)
        yield
    finally:
        await asyncio.gather(*(one.close(factory) for one in listeners))
        await connections.finish(shutdown_timeout)


def tls_connections(connections: Connections, certificate: Certificate) -> Callable[[], TlsWire]:
    """Return the protocol factory for a listener with TLS."""
    handshakes = Handshakes(connections)

    def begin() -> TlsWire:
        connection = new_connection(connections)
        connection.state = State.HANDSHAKING
        connections.admit(connection)
        return TlsWire(connection, certificate, handshakes)

    return begin
