"""A body -> finished replies."""

import base64
import gzip
import hashlib

import brotli
from support import build, key, public_pem

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import Variant, render

KEYSET = build([read_file("a.pem", public_pem(key("RSA")) + public_pem(key("RSA", 1)), None)], Policy())


def variants() -> dict[str, Variant]:
    """Render the set."""
    return {one.coding: one for one in render(KEYSET.body, Freshness(60), "application/json").variants}


def test_codings_hold_the_same_body() -> None:
    """Each coding decodes to the set's body."""
    found = variants()
    assert found["identity"].body == KEYSET.body
    assert gzip.decompress(found["gzip"].body) == KEYSET.body
    assert brotli.decompress(found["br"].body) == KEYSET.body


def test_etag_is_the_digest_of_the_exact_bytes() -> None:
    """The tag is strong, and differs between codings."""
    for one in variants().values():
        digest = base64.urlsafe_b64encode(hashlib.sha256(one.body).digest()).decode().rstrip("=")
        assert one.etag == one.headers["ETag"] == f'"{digest}"'
    assert len({one.etag for one in variants().values()}) == 3


def test_same_set_gives_same_bytes() -> None:
    """A reply does not depend on the time or the process, so replicas agree."""
    assert variants() == variants()


def test_content_encoding() -> None:
    """Only a coded body names its coding."""
    assert {name: one.headers.get("Content-Encoding") for name, one in variants().items()} == {
        "identity": None,
        "gzip": "gzip",
        "br": "br",
    }


def test_304_carries_what_a_cache_needs() -> None:
    """A 304 has the 200's ETag and Vary (RFC 9110 section 15.4.5); Cache-Control is made when a reply is."""
    for one in variants().values():
        assert "Cache-Control" not in one.headers
        assert one.revalidated["Vary"] == "Accept-Encoding"
        assert one.revalidated.items() <= one.headers.items()
