"""Which key verifies a token."""

import json

import pytest
from support import build, key, public_pem, sign

from jwks_server.errors import KidUnknown, SignatureWrong, TokenAlgMismatch, TokenAlgUnsupported, TokenMalformed
from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.remote.tokens import Jwk, parse, verifying_key


def jwk(kind: str, number: int = 0) -> Jwk:
    """Publish a key."""
    (built,) = build([read_file("a.pem", public_pem(key(kind, number)), None)], Policy(), now=0).keys
    published: Jwk = json.loads(built.json)
    return published


def test_the_key_with_the_kid() -> None:
    """The key that the token's kid names verifies it."""
    keys = [jwk("P-256"), jwk("P-256", 1)]
    assert verifying_key(parse(sign(key("P-256", 1), "ES256", keys[1]["kid"])), keys) is keys[1]


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.b.c.d.e", "....", "\xff.a.b"])
def test_malformed(text: str) -> None:
    """A text that is not a signed JWT is refused."""
    with pytest.raises(TokenMalformed):
        parse(text)


@pytest.mark.parametrize("alg", ["none", "HS256", "XS256"])
def test_unsupported(alg: str) -> None:
    """A token without a public key's signature can't be verified."""
    with pytest.raises(TokenAlgUnsupported, match=alg):
        parse(sign(key("P-256"), alg, "a"))


def test_why_not() -> None:
    """An unknown kid, a kid under another name, another alg and another signature are told apart."""
    one = jwk("P-256")
    with pytest.raises(KidUnknown, match=r"No key has the kid x\.$"):
        verifying_key(parse(sign(key("P-256", 1), "ES256", "x")), [one])
    with pytest.raises(KidUnknown, match=f"The key {one['kid']} made the signature"):
        verifying_key(parse(sign(key("P-256", 0), "ES256", "x")), [one])
    with pytest.raises(TokenAlgMismatch):
        verifying_key(parse(sign(key("RSA", 0), "RS256", one["kid"])), [one])
    with pytest.raises(SignatureWrong):
        verifying_key(parse(sign(key("P-256", 1), "ES256", one["kid"])), [one])
