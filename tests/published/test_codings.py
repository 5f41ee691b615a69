"""A body in every content coding."""

import gzip
import random

import brotli
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.keys.jwk import b64url
from jwks_server.published.codings import encoded

_LINES = [b'{"kid":"%b"}' % b64url(random.Random(number).randbytes(32)).encode() for number in range(8000)]  # noqa: S311


@given(st.integers(0, 7999), st.binary(max_size=64))
def test_a_large_body_decodes_to_itself_in_one_gzip_member(at: int, more: bytes) -> None:
    """It is compressed in pieces, which no decoder can see: one header, one stream, one checksum."""
    body = b",".join((*_LINES[:at], more, *_LINES[at:]))
    assert len(body) > 256 * 1024
    found = dict(encoded(body))
    assert found.keys() == {"identity", "gzip"}
    assert found["identity"] == body == gzip.decompress(found["gzip"])
    assert found["gzip"].count(gzip.compress(b"")[:4] + bytes(4)) == 1


@given(st.binary(max_size=2048))
def test_a_small_body_decodes_to_itself(body: bytes) -> None:
    """It has every coding."""
    found = dict(encoded(body))
    assert found["identity"] == body == gzip.decompress(found["gzip"]) == brotli.decompress(found["br"])


def test_a_body_without_a_place_to_cut_is_one_piece() -> None:
    """Whatever the bytes are, they decode to themselves."""
    body = bytes(300_000)
    assert gzip.decompress(dict(encoded(body))["gzip"]) == body
