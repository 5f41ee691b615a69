"""A listener in the test's own process, with limits to be reached."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from support import HANG_SECONDS, trusting

from jwks_server.address import Address
from jwks_server.options.settings import Limits, Listening
from jwks_server.published.catalog import Catalog
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.connections import Connections
from jwks_server.serving.public import application
from jwks_server.serving.response_cache import ResponseCache
from jwks_server.serving.site import opened, prepared, taken
from jwks_server.stats import Traffic

PATH = "/.well-known/jwks.json"
GET = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class Site:
    """A listener, and what it counts."""

    port: int
    connections: Connections
    traffic: Traffic
    tls: ssl.SSLContext | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**26, ssl=self.tls)

    async def emptied(self) -> None:
        """Wait until no connection is left."""
        async with asyncio.timeout(HANG_SECONDS):
            while len(self.connections):
                await asyncio.sleep(0.01)

    async def say(self, *writes: bytes, half_close: bool = False) -> bytes:
        """Send the writes one after the other; read until the server closes."""
        async with asyncio.timeout(HANG_SECONDS):
            reader, writer = await self.connect()
            for data in writes:
                writer.write(data)
                await writer.drain()
            if half_close:
                if self.tls:
                    pytest.skip("asyncio's streams can't half-close TLS; test_tls_wire.py does")
                writer.write_eof()
            received = b""
            with suppress(ConnectionResetError):
                while data := await reader.read(1 << 16):
                    received += data
            writer.close()
            return received


@asynccontextmanager
async def site(
    catalog: Catalog,
    *,
    cached: bool = True,
    app: web.Application | None = None,
    certificate: Certificate | None = None,
    **limits: Any,
) -> AsyncIterator[Site]:
    """Serve the catalog, or an application in its place, until the block ends; over TLS if there is a certificate."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    traffic = Traffic()
    allowed = Limits(**{"max_connections": 1000, **limits})
    cache = ResponseCache(catalog, traffic, allowed) if cached else None
    how = Listening(public=(Address("127.0.0.1", port),))
    with taken(how.public, how, name="public") as listeners:
        async with prepared(app or application(catalog, PATH), allowed, traffic, cache=cache) as connections:
            deadlines = asyncio.create_task(connections.keep_deadlines())
            async with opened(connections, listeners, shutdown_timeout=1.0, certificate=certificate):
                yield Site(port, connections, traffic, trusting() if certificate else None)
            deadlines.cancel()


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    """Read one reply that has a Content-Length."""
    async with asyncio.timeout(HANG_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
        return head + await reader.readexactly(int(length))


def statuses(stream: bytes) -> Sequence[int]:
    """List the status codes of the replies in a stream."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", stream)]
