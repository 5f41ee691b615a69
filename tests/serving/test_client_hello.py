"""The ClientHello, as real clients write it and as nobody does."""

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import trusting

from jwks_server.serving.client_hello import MAX_BYTES, NotTlsError, read


def hello(*protocols: str) -> bytes:
    """Let OpenSSL write one."""
    context = trusting()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname="a.example").do_handshake()
    return out.read()


@pytest.mark.parametrize(
    ("protocols", "spoken"),
    [((), True), (("h2",), False), (("h2", "http/1.1"), True), (("http/1.0",), True), (("acme-tls/1",), False)],
)
def test_protocols(protocols: tuple[str, ...], spoken: bool) -> None:
    """The offered protocols are read, and decide whether there is one in common."""
    found = read(hello(*protocols))
    assert found is not None
    assert found.protocols == (tuple(one.encode() for one in protocols) or None)
    assert found.is_spoken is spoken


def test_cut_anywhere() -> None:
    """A hello is whole with its last byte, in one record or several."""
    whole = hello("h2")
    for at in range(len(whole)):
        assert read(whole[:at]) is None
    pieces = [whole[5:][at : at + 100] for at in range(0, len(whole) - 5, 100)]
    found = read(b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces))
    assert found is not None
    assert found.protocols == (b"h2",)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are no TLS, an unfinished hello, or left to OpenSSL."""
    for tail in (data, b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4" + data):
        with suppress(NotTlsError):
            read(tail)


def test_bounds() -> None:
    """What is longer than any real hello is not waited for."""
    assert read(b"\x16\x03\x01\x40\x00\x01\x00\xff\xff") is None
    assert read(b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + bytes(MAX_BYTES)) is not None
    assert read(b"\x16\x03\x01\x00\x01\x01" * 20) is not None
