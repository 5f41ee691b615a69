"""TLS: a certificate that is reloaded when its files change, and the handshake before a connection."""

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import structlog

from jwks_server.errors import TlsInvalid
from jwks_server.serving.connection import HttpConnection
from jwks_server.serving.connections import Connections
from jwks_server.text import reason
from jwks_server.threads import in_thread

_POLL_SECONDS = 1.0
_READ_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Certificate:
    """A certificate chain and its private key.

    Args:
        chain: The chain's PEM file, leaf first.
        key: The private key's PEM file, not encrypted.

    Attributes:
        context: For the next handshakes; open connections keep theirs.

    Raises:
        TlsInvalid: The files can't be used.
    """

    def __init__(self, chain: str, key: str) -> None:
        self._files = chain, key
        self._seen = self._fingerprint()
        self._error: TlsInvalid | None = None
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self.context = self._load()

    async def follow(self) -> None:
        """Reload the files when they change; this never returns. A bad pair leaves the last good one in place."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _POLL_SECONDS)
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            try:
                # A file system that hangs leaves a thread behind; it must not stop later reloads.
                await asyncio.wait_for(self._reload_if_changed(), _READ_SECONDS)
            except TimeoutError:
                self._fail(TlsInvalid(f"{self._files[0]} or {self._files[1]} can't be read in time; check the disk."))
            except TlsInvalid as error:
                self._fail(error)
            for one in waiting:
                if not one.done():
                    one.set_result(None)

    async def reload(self) -> None:
        """Check the files now; return when they have been read, or can't be."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        await done

    async def _reload_if_changed(self) -> None:
        seen = await in_thread(self._fingerprint)
        if seen == self._seen and not self._error:
            return
        self.context = await in_thread(self._load)
        self._error, self._seen = None, seen
        _log.info("tls-reloaded", certificate=self._files[0])

    def _fail(self, error: TlsInvalid) -> None:
        if error != self._error:
            _log.error("tls-failed", code=error.code, reason=error.message)
        self._error = error

    def _fingerprint(self) -> tuple[object, ...]:
        try:
            status = [os.stat(path) for path in self._files]  # noqa: PTH116 - the serving side does not import pathlib
        except OSError:
            return ()
        return tuple((one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in status)

    def _load(self) -> ssl.SSLContext:
        for path in self._files:
            if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - as above
                raise TlsInvalid(f"{path} is not a regular file; name the file itself.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(*self._files, password=b"")
        except (OSError, ValueError) as exc:
            why = reason(exc) if isinstance(exc, OSError) else str(exc)
            raise TlsInvalid(
                f"{self._files[0]} and {self._files[1]} are not a certificate chain and its key ({why}); replace them."
            ) from exc
        return context


class Handshake(asyncio.Protocol):
    """A connection in its TLS handshake; then an ``HttpConnection`` takes its place.

    Args:
        connections: The listener's connections.
        certificate: The server's certificate.
    """

    unanswered = True
    admitted = True

    def __init__(self, connections: Connections, certificate: Certificate) -> None:
        self._connections = connections
        self._certificate = certificate
        self._transport: asyncio.Transport | None = None
        self.since = connections.time
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the connection was not admitted."""
        self._transport = cast("asyncio.Transport", transport)
        if not self.admitted:
            self._transport.abort()
            return
        self._shaking = asyncio.create_task(self._shake(self._transport), name="handshake")

    def data_received(self, data: bytes) -> None:
        """Keep data that arrives before TLS can read it."""
        self._early += data

    def _give_early(self, transport: asyncio.Transport) -> None:
        """Pass the early data on; a protocol that is not connected yet buffers it."""
        reader: Any = transport.get_protocol()
        while self._early and reader is not self:
            buffer = memoryview(reader.get_buffer(len(self._early)))[: len(self._early)]
            buffer[:] = self._early[: len(buffer)]
            self._early = self._early[len(buffer) :]
            reader.buffer_updated(len(buffer))

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        del exc
        self._connections.forget(self)

    async def _shake(self, transport: asyncio.Transport) -> None:
        connection, loop = HttpConnection(self._connections), asyncio.get_running_loop()
        loop.call_soon(self._give_early, transport)  # start_tls puts its protocol in place before this runs
        try:
            secure = await loop.start_tls(
                transport,
                connection,
                self._certificate.context,
                server_side=True,
                ssl_handshake_timeout=self._connections.limits.handshake_timeout,
                ssl_shutdown_timeout=self._connections.limits.body_timeout,
            )
        except (OSError, EOFError) as exc:
            self._count(exc)
            self._connections.forget(self)
            transport.abort()
            return
        # The connection was closed meanwhile; not every event loop raises an exception for that.
        if secure is None or secure.is_closing() or transport.is_closing() or not connection.admitted:
            self._connections.forget(self)
            transport.abort()
            return
        self._connections.replace(self, connection)
        connection.connection_made(secure)

    def _count(self, exc: Exception) -> None:
        if isinstance(exc, ssl.SSLError):
            self._connections.traffic.bad_requests["handshake"] += 1
        elif isinstance(exc, ConnectionAbortedError):
            self._connections.traffic.timed_out["handshake"] += 1

    @property
    def evictable(self) -> bool:
        """Whether it may be closed to make room: always."""
        return True

    def close(self) -> None:
        """Close at once."""
        self.admitted = False
        if self._transport:
            self._transport.abort()

    def expire(self) -> None:
        """Do nothing: the handshake keeps its own deadline."""


def handshakes(connections: Connections, certificate: Certificate) -> Callable[[], Handshake]:
    """Return the protocol factory for a listener with TLS."""

    def begin() -> Handshake:
        handshake = Handshake(connections, certificate)
        connections.admit(handshake)
        return handshake

    return begin
