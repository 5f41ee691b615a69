"""An issuer's key set -> its pages by URL path."""

import json
from dataclasses import replace

import pytest
from support import build, key, public_pem

from jwks_server.keys.keyset import KeySet, read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.freshness import Freshness
from jwks_server.published.pages import Endpoint, pages

ISSUER = "https://id.example.com/other"


def keyset(issuer: str | None = ISSUER, number: int = 0) -> KeySet:
    """Build a set of one key."""
    return build([read_file("a.pem", public_pem(key("P-256", number)), None)], Policy(issuer=issuer))


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        (
            "/",
            ["/keys.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"],
        ),
        (
            "/acme",
            [
                "/acme/keys.json",
                "/acme/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/acme",
            ],
        ),
    ],
)
def test_paths(issuer: str, expected: list[str]) -> None:
    """OpenID Connect appends, RFC 8414 inserts; the folder's name counts, not the path of the issuer's URL."""
    found = pages(issuer, keyset(), Endpoint("/keys.json", "application/jwk-set+json"))
    assert list(found) == expected
    kinds = [page.variants[0].headers["Content-Type"] for page in found.values()]
    assert kinds == ["application/jwk-set+json", "application/json", "application/json"]
    document = json.loads(found[expected[1]].variants[0].body)
    assert document["jwks_uri"] == ISSUER + "/keys.json"
    assert found[expected[1]] == found[expected[2]]


def test_without_an_issuer() -> None:
    """Without an issuer the JWK Set is the only page."""
    assert list(pages("/acme", keyset(None), Endpoint("/keys", "a/b"))) == ["/acme/keys"]


def test_same_body_is_not_encoded_again() -> None:
    """If only what Cache-Control is made from changed, the bytes are those from before; if a key changed, not."""
    first = pages("/", keyset(), Endpoint("/k", "a/b"))
    second = pages("/", replace(keyset(), next_change=5.0), Endpoint("/k", "a/b"), first)
    third = pages("/", keyset(number=1), Endpoint("/k", "a/b"), first)
    for old, new in zip(first["/k"].variants, second["/k"].variants, strict=True):
        assert new.body is old.body
    assert (first["/k"].freshness, second["/k"].freshness) == (Freshness(300), Freshness(300, 5.0))
    assert [one.coding for one in third["/k"].variants] == ["identity", "gzip", "br"]
    assert not {one.etag for one in third["/k"].variants} & {one.etag for one in first["/k"].variants}
