"""TLS without I/O: encrypted bytes in, plain bytes out, and back."""

import ssl
from contextlib import suppress

# OpenSSL's buffers keep the size of the largest piece that they were given.
PIECE_BYTES = 16 * 1024


class TlsEngine:
    """The server's side of one TLS connection.

    Args:
        context: The server's context.

    Attributes:
        secured: Whether the handshake is complete.
    """

    __slots__ = ("_incoming", "_outgoing", "_tls", "secured")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.secured = False

    def feed(self, piece: bytes) -> None:
        """Add encrypted data that has arrived, a piece at a time."""
        self._incoming.write(piece)

    def shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is complete.

        Raises:
            ssl.SSLError: It failed.
        """
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self.secured = True
        return self.secured

    def read(self) -> bytes | None:
        """Return what is decrypted: None for nothing yet, no bytes once the client has closed its side.

        Raises:
            ssl.SSLError: The data is not what TLS allows.
        """
        if not self._incoming.pending and not self._tls.pending():
            return None
        try:
            return self._tls.read(PIECE_BYTES)
        except ssl.SSLWantReadError:
            return None

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt data, a piece at a time."""
        self._tls.write(data)

    def take(self) -> bytes:
        """Return the encrypted bytes that are to be sent."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def shut_down(self) -> None:
        """Say that nothing more comes; the client has not said so yet, and need not."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()
