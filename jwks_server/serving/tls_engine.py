"""TLS without I/O: encrypted bytes in, plain bytes out, and back."""

import ssl
from contextlib import suppress

# OpenSSL's buffers keep the size of the largest piece that they were given. A record has at most so much data.
PIECE_BYTES = 16 * 1024


class TlsEngine:
    """The server's side of one TLS connection.

    Args:
        context: The server's context.

    Attributes:
        secured: Whether the handshake is complete.
        feed: Adds encrypted data that has arrived, a piece at a time.
        write: Encrypts data, a piece at a time.
        take: Returns the encrypted bytes that are to be sent.
    """

    __slots__ = ("_begun", "_incoming", "_tls", "feed", "secured", "take", "write")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, outgoing, server_side=True)
        self.feed, self.write, self.take = self._incoming.write, self._tls.write, outgoing.read
        self._begun = False  # whether OpenSSL has the beginning of a record
        self.secured = False

    def shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is complete.

        Raises:
            ssl.SSLError: It failed.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.secured = True
        return True

    def read(self) -> bytes | None:
        """Return what is decrypted: None for nothing yet, no bytes once the client has closed its side.

        Raises:
            ssl.SSLError: The data is not what TLS allows.
        """
        size = self._incoming.pending
        if not size:
            return None
        try:
            # This is room for a whole record, so OpenSSL keeps nothing back; a small one is quicker to make.
            data = self._tls.read(PIECE_BYTES if self._begun or size > PIECE_BYTES else size)
        except ssl.SSLWantReadError:
            self._begun = True
            return None
        self._begun = False
        return data

    def shut_down(self) -> None:
        """Say that nothing more comes; the client has not said so yet, and need not."""
        with suppress(ssl.SSLError):
            self._tls.unwrap()
