"""TLS on one connection: bytes from the socket -> OpenSSL -> the connection, and back. No task, no second transport."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from jwks_server.serving import client_hello
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.connection import HttpConnection
from jwks_server.serving.handshakes import Handshakes
from jwks_server.serving.tls_engine import PIECE_BYTES, TlsEngine

_NOT_CONNECTED = asyncio.Transport()


class TlsWire(asyncio.Protocol):
    """The wire of a connection over TLS; to the event loop it is the protocol.

    The SSL object is made once a whole ClientHello is there, when it is this handshake's turn.

    Args:
        connection: The connection.
        certificate: What the server shows.
        handshakes: The handshakes in progress.
    """

    __slots__ = (
        "_at_end",
        "_certificate",
        "_closing",
        "_connection",
        "_deferred",
        "_handshakes",
        "_hello",
        "_plain",
        "_shut",
        "_tls",
        "_transport",
        "_unsent",
        "_write_paused",
    )

    def __init__(self, connection: HttpConnection, certificate: Certificate, handshakes: Handshakes) -> None:
        self._connection = connection
        self._certificate = certificate
        self._handshakes = handshakes
        self._transport = _NOT_CONNECTED
        self._tls: TlsEngine | None = None
        self._hello = b""  # what has arrived of it
        self._plain = False  # the client speaks no TLS
        self._unsent: list[memoryview] = []
        self._write_paused = False
        self._deferred = False  # what is written is sent at the end of the data that is being handled
        self._at_end: Callable[[], None] | None = None
        self._shut = False  # our side of TLS is closed
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._connection.connection_made(cast("asyncio.Transport", self))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._handshakes.leave(self)
        self._connection.connection_lost(exc)
        self._closing = self._shut = True
        self._hello = b""
        # They would wait for the garbage collector: the connection has its wire, and the wire its connection.
        self._tls = self._at_end = None
        self._unsent.clear()
        del self._connection

    def data_received(self, data: bytes) -> None:
        """Take data from the socket."""
        if self._plain or self._shut:
            self._connection.data_received(data)
        elif self._tls is None:
            self._take_hello(data)
        else:
            self._decrypt(self._tls, data)

    def eof_received(self) -> bool:
        """Take note that the client has closed its sending side."""
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        """Stop encrypting."""
        self._write_paused = True
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Encrypt what waits."""
        self._write_paused = False
        while self._tls and self._unsent and not self._write_paused:
            self._encrypt(self._tls, self._unsent.pop(0))
        if not self._write_paused:
            if self._at_end:
                self._end(self._at_end)
            self._connection.resume_writing()

    def _take_hello(self, data: bytes) -> None:
        """Wait for a whole ClientHello."""
        whole = bool(self._hello) and self._handshakes.waits(self)
        self._hello = self._hello + data if self._hello else data
        if whole:
            if len(self._hello) > client_hello.MAX_BYTES:
                self._fail()
            return
        try:
            hello = client_hello.read(self._hello)
        except client_hello.NotTlsError:
            beginning, self._hello, self._plain = self._hello, b"", True
            self._connection.refuse_unencrypted(beginning)
            return
        if hello is None:
            return
        if hello.protocols is not None and not hello.is_spoken:
            self._transport.write(client_hello.NO_APPLICATION_PROTOCOL)
            self._fail()
            return
        self._handshakes.enter(self)

    def begin(self) -> None:
        """Begin the handshake: it is this connection's turn."""
        if not self._hello or self._transport.is_closing():
            return
        self._tls = TlsEngine(self._certificate.context)
        hello, self._hello = self._hello, b""
        self._decrypt(self._tls, hello)

    def _decrypt(self, tls: TlsEngine, data: bytes) -> None:
        self._deferred = True
        try:
            if len(data) <= PIECE_BYTES:
                self._decrypt_piece(tls, data)
            else:
                for at in range(0, len(data), PIECE_BYTES):
                    self._decrypt_piece(tls, data[at : at + PIECE_BYTES])
        except ssl.SSLError:
            self._flush()
            self._fail()
        finally:
            self._deferred = False
            self._flush()

    def _decrypt_piece(self, tls: TlsEngine, piece: bytes) -> None:
        """Pass decrypted data to the connection."""
        tls.feed(piece)
        if not tls.secured:
            if self._shut or not tls.shake_hands():
                return
            self._handshakes.leave(self)
            self._connection.secured()
        while not self._shut and (data := tls.read()) is not None:
            if data:
                self._connection.data_received(data)
                continue
            if not self._connection.eof_received():  # the client has closed its side of TLS
                self.close()
            return

    def _fail(self) -> None:
        """Close a connection whose handshake or TLS failed."""
        self._handshakes.fail(self, handshake=not (self._tls and self._tls.secured))
        self._closing = self._shut = True
        self._hello = b""
        self._connection.ended()
        self._transport.close()

    def write(self, data: bytes) -> None:
        """Send data, now or later."""
        if self._shut or self._closing:
            return
        if self._tls is None:
            self._transport.write(data)
        elif self._write_paused or self._unsent:
            self._unsent.append(memoryview(bytes(data)))
        elif len(data) <= PIECE_BYTES:
            self._tls.write(data)
            if not self._deferred:
                self._flush()
        else:
            self._encrypt(self._tls, memoryview(bytes(data)))

    def _encrypt(self, tls: TlsEngine, data: memoryview) -> None:
        """Encrypt piece by piece, as long as the event loop has room."""
        while data and not self._write_paused:
            tls.write(data[:PIECE_BYTES])
            data = data[PIECE_BYTES:]
            self._flush()
        if data:
            self._unsent.insert(0, data)

    def _flush(self) -> None:
        if self._tls is not None and (data := self._tls.take()) and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, last: Callable[[], None]) -> None:
        """Send the TLS close_notify alert and take a last step, once everything has been sent."""
        if self._unsent:
            self._at_end = last
            return
        if self._tls is not None and not self._shut:
            self._tls.shut_down()
            self._flush()
        self._shut = True
        last()

    def write_eof(self) -> None:
        """Close the sending side once everything has been sent."""
        self._end(self._transport.write_eof)

    def close(self) -> None:
        """Close once everything has been sent."""
        self._closing = True
        self._end(self._transport.close)

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether it is closed, or will be once everything has been sent."""
        return self._closing or self._transport.is_closing()

    def pause_reading(self) -> None:
        """Stop delivering data."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._unsent))

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own signature
        """Return a fact about the socket."""
        return self._transport.get_extra_info(name, default)
