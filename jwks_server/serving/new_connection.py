"""How a connection begins: with or without the time that the access log needs, and as a listener's protocol factory."""

from collections.abc import Callable
from time import perf_counter

from jwks_server.serving.connection import WITH_AIOHTTP, HttpConnection
from jwks_server.serving.connections import Connections


class _TimedConnection(HttpConnection):
    """A connection that takes the time for the access log. Without the log, no connection pays for it."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take the time, unless a request is with aiohttp: what arrives meanwhile is another one."""
        if self.state not in WITH_AIOHTTP:
            self.began = perf_counter()
        super().data_received(data)


def new_connection(connections: Connections) -> HttpConnection:
    """Begin a connection."""
    return (_TimedConnection if connections.log_access else HttpConnection)(connections)


def http_connections(connections: Connections) -> Callable[[], HttpConnection]:
    """Return the protocol factory for a listener without TLS."""

    def begin() -> HttpConnection:
        connection = new_connection(connections)
        connections.admit(connection)
        return connection

    return begin
