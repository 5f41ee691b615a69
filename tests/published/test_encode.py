"""An edition -> bytes, and back."""

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import key, private_pem, public_pem

from jwks_server.errors import EditionDamaged
from jwks_server.keys.keyset import Key, KeySet, read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import Catalog, Edition, Entry
from jwks_server.published.encode import from_bytes, to_bytes
from jwks_server.published.freshness import Freshness
from jwks_server.published.pages import Endpoint, pages
from jwks_server.published.representation import Representation, Variant

FIELDS = st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4)
VARIANTS = st.builds(Variant, st.text(max_size=8), st.binary(max_size=50), st.text(max_size=20), FIELDS, FIELDS)
TIMES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
FRESH = st.builds(Freshness, st.integers(0), TIMES, TIMES)
PAGES = st.builds(Representation, st.lists(VARIANTS, max_size=3).map(tuple), FRESH)
EDITIONS = st.builds(
    Edition,
    pages=st.dictionaries(st.text(max_size=20), PAGES, max_size=4).map(MappingProxyType),
    awaited=st.frozensets(st.text(max_size=20), max_size=3),
)


def keyset(pem: bytes) -> KeySet:
    """Make a set of a file's keys."""
    found = read_file("secret-name.pem", pem, None).keys
    keys = [
        Key(one.thumbprint, "RS256", "sig", "secret-name.pem", one, json.dumps(one.members).encode()) for one in found
    ]
    return KeySet(tuple(keys), Policy(issuer="https://id.example.com"))


def published(pem: bytes | None = None) -> Edition:
    """Publish the set of a file with two private keys."""
    keys = keyset(pem or private_pem(key("RSA")) + private_pem(key("P-256")))
    catalog = Catalog()
    found = pages("/", keys, Endpoint("/.well-known/jwks.json"))
    catalog.publish({"/": Entry(keys, found)}, frozenset({"/acme"}))
    return catalog.current


def in_order(edition: Edition) -> object:
    """Spell an edition's public part out, with the order of pages and fields, which a mapping's equality ignores."""

    def listed(fields: Mapping[str, str]) -> list[tuple[str, str]]:
        return list(fields.items())

    return [
        (
            path,
            page.freshness,
            [(one.coding, one.body, one.etag, listed(one.headers), listed(one.revalidated)) for one in page.variants],
        )
        for path, page in edition.pages.items()
    ]


@given(EDITIONS)
@example(published())
@example(Edition())
def test_read_back_exactly(edition: Edition) -> None:
    """What was written is read back, to the byte and in the same order."""
    found = from_bytes(to_bytes(edition))
    assert (found.pages, found.awaited) == (edition.pages, edition.awaited)
    assert in_order(found) == in_order(edition)
    assert to_bytes(found) == to_bytes(edition)


def test_only_what_is_served_is_written() -> None:
    """The bytes hold neither a file's name nor an entry: another process serves from them and knows no more."""
    edition = published()
    data = to_bytes(edition)
    assert b"secret-name" not in data
    assert not from_bytes(data).entries
    assert from_bytes(data) == Edition(pages=edition.pages, awaited=edition.awaited)


def test_equal_bodies_are_written_once() -> None:
    """The two discovery documents are the same, and stand in the bytes once."""
    edition = published()
    document = edition.pages["/.well-known/openid-configuration"].variants[0].body
    assert edition.pages["/.well-known/oauth-authorization-server"].variants[0].body == document
    assert to_bytes(edition).count(document) == 1


@given(st.binary(max_size=200))
@example(b"")
@example(b"jwks-server edition 2\n")
@example(b"jwks-server edition 2\n" + bytes(8))
@example(b"jwks-server edition 2\n" + (2).to_bytes(8, "big") + b"[]")
@example(b"jwks-server edition 2\n" + (100_000).to_bytes(8, "big") + b"[" * 100_000)
@example(to_bytes(published()).replace(b"edition 2", b"edition 1"))
@example(to_bytes(published()) + b"x")
@example(to_bytes(published())[:-1])
@example(to_bytes(published()).replace(b'"body":0', b'"body":9'))
@example(to_bytes(published()).replace(b'"next_change":null', b'"next_change":1e99'[:18]))
@example(to_bytes(published()).replace(b'"next_change":null', b'"next_change": NaN'))
@example(to_bytes(published()).replace(b'"next_change":null', b'"next_change":1234'))
def test_any_bytes(data: bytes) -> None:
    """Bytes that are not an edition are one coded error."""
    with pytest.raises(EditionDamaged):
        from_bytes(data)


@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    """An edition of which any byte was changed gives an edition that is written so, or the coded error."""
    pages = MappingProxyType({"/keys": published().pages["/.well-known/jwks.json"]})
    written = bytearray(to_bytes(Edition(pages=pages)))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] = data.draw(st.integers(0, 255))
    try:
        found = from_bytes(bytes(written))
    except EditionDamaged as error:
        assert error.code == "edition-damaged"  # noqa: PT017 - either outcome is right
    else:
        assert to_bytes(found) == bytes(written)


def test_what_is_written_holds_no_private_byte() -> None:
    """The bytes from a private key's file are those from its public half's."""
    public = published(public_pem(key("RSA")) + public_pem(key("P-256")))
    assert to_bytes(published()) == to_bytes(public)
