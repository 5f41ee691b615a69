"""The first message of TLS, read as far as the server must know it before OpenSSL does (RFC 8446 section 4.1.2)."""

from dataclasses import dataclass

_HANDSHAKE_RECORD = 0x16
_TLS_MAJOR = 3
_CLIENT_HELLO = 1
_ALPN = 16
_ALPN_BYTES = _ALPN.to_bytes(2, "big")
_RECORD_HEADER = 5
_MESSAGE_HEADER = 4
_MAX_RECORD = 1 << 14
# Real hellos have at most 2 KiB, in one record.
MAX_BYTES = 16 * 1024
_MAX_RECORDS = 8
# A fatal alert, no_application_protocol (RFC 7301 section 3.2).
NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
SPOKEN = ("http/1.1", "http/1.0")


class NotTlsError(Exception):
    """The data is not TLS."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """A whole hello, or data that can't become one, which OpenSSL refuses.

    Attributes:
        protocols: The protocols that the client offers by ALPN; None where it does not offer any.
    """

    protocols: tuple[bytes, ...] | None = None

    @property
    def is_spoken(self) -> bool:
        """Whether one of the offered protocols is spoken here."""
        return self.protocols is None or any(one.encode() in self.protocols for one in SPOKEN)


_OFFERS_NOTHING = ClientHello()


def read(data: bytes | bytearray) -> ClientHello | None:
    """Read a hello; None if it is not whole yet.

    Raises:
        NotTlsError: The first byte does not begin a handshake.
    """
    if data and data[0] != _HANDSHAKE_RECORD:
        raise NotTlsError
    if _is_one_record(data) and _ALPN_BYTES not in data:
        return _OFFERS_NOTHING
    try:
        message = _message(data)
    except _Malformed:
        return ClientHello()
    if message is not None:
        # Many hellos offer no protocols; it is quicker to search for the extension's number than to read them all.
        return ClientHello(_protocols(message)) if _ALPN_BYTES in message else _OFFERS_NOTHING
    return None if len(data) < MAX_BYTES else ClientHello()


def _is_one_record(data: bytes | bytearray) -> bool:
    """Whether the data is one whole record with one whole hello, as almost every client sends it."""
    number = len(data) - _RECORD_HEADER - _MESSAGE_HEADER
    return (
        0 < number <= _MAX_RECORD - _MESSAGE_HEADER
        and data[1] == _TLS_MAJOR
        and int.from_bytes(data[3:5], "big") == number + _MESSAGE_HEADER
        and int.from_bytes(data[5:9], "big") == _CLIENT_HELLO << 24 | number
    )


def _message(data: bytes | bytearray) -> bytes | None:
    """Take the hello out of its records; None if it is not whole yet."""
    message, at = b"", 0
    for _ in range(_MAX_RECORDS):
        header = data[at : at + _RECORD_HEADER]
        if len(header) < _RECORD_HEADER:
            return None
        length = int.from_bytes(header[3:5], "big")
        if header[0] != _HANDSHAKE_RECORD or header[1] != _TLS_MAJOR or not 0 < length <= _MAX_RECORD:
            raise _Malformed
        at += _RECORD_HEADER + length
        if len(data) < at:
            return None
        message += data[at - length : at]
        end = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER], "big")
        if message[0] != _CLIENT_HELLO or (len(message) >= _MESSAGE_HEADER and end > MAX_BYTES):
            raise _Malformed
        if _MESSAGE_HEADER <= end <= len(message):
            return message[_MESSAGE_HEADER:end]
    raise _Malformed


class _Malformed(Exception):
    pass


class _Reader:
    """Reads vectors that begin with their length."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, number: int) -> bytes:
        taken = self._data[self._at : self._at + number]
        if len(taken) < number:
            raise _Malformed
        self._at += number
        return taken

    def vector(self, size: int) -> bytes:
        return self.take(int.from_bytes(self.take(size), "big"))


def _protocols(hello: bytes) -> tuple[bytes, ...] | None:
    """Find the offered protocols; what is malformed is left to OpenSSL."""
    reader = _Reader(hello)
    try:
        reader.take(2 + 32)  # version, random
        reader.vector(1)  # session id
        reader.vector(2)  # cipher suites
        reader.vector(1)  # compression methods
        if not reader:
            return None
        extensions = _Reader(reader.vector(2))
        while extensions:
            kind = int.from_bytes(extensions.take(2), "big")
            value = extensions.vector(2)
            if kind == _ALPN:
                names = _Reader(_Reader(value).vector(2))
                offered = []
                while names:
                    offered.append(names.vector(1))
                return tuple(offered)
    except _Malformed:
        pass
    return None
