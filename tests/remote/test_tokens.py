"""A token and the published keys: which key verifies it, or exactly why none does."""

import json
from typing import Any

import pytest
from support import build, key, public_pem, sign, thumbprint

from jwks_server import errors
from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.remote.tokens import parse, verifying_key

FILES = [read_file(f"{kind}.pem", public_pem(key(kind)), None) for kind in ("RSA", "P-256", "Ed25519")]
KEYS: list[dict[str, Any]] = json.loads(build(FILES, Policy()).body)["keys"]
KID = thumbprint(key("P-256"))


def test_key_by_its_kid() -> None:
    """The key with the token's kid verifies it, among others."""
    found = verifying_key(parse(sign(key("P-256"), "ES256", KID)), KEYS)
    assert found["kid"] == KID


@pytest.mark.parametrize(
    ("kid", "alg", "number", "error"),
    [
        ("other", "ES256", 0, errors.KidUnknown),
        (None, "ES256", 1, errors.SignatureWrong),
        (None, "EdDSA", 0, errors.TokenAlgMismatch),
    ],
)
def test_why_none_does(kid: str | None, alg: str, number: int, error: type[errors.TokenRefused]) -> None:
    """An unknown kid, another key's signature and another alg are told apart."""
    signer = key("P-256", number) if number else key("P-256")
    with pytest.raises(error):
        verifying_key(parse(sign(signer, alg, kid or KID)), KEYS)


def test_signer_that_names_the_key_otherwise() -> None:
    """Where a key made the signature and has another kid, it is named."""
    with pytest.raises(errors.KidUnknown, match=KID):
        verifying_key(parse(sign(key("P-256"), "ES256", "other")), KEYS)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", errors.TokenMalformed),
        ("a.b", errors.TokenMalformed),
        ("a.b.c.d.e", errors.TokenMalformed),
        ("e30.e30.e30", errors.TokenMalformed),
        ("eyJhbGciOiJub25lIn0.e30.", errors.TokenAlgUnsupported),
        ("eyJhbGciOiJIUzI1NiJ9.e30.e30", errors.TokenAlgUnsupported),
        ("eyJhbGciOiJYWVoifQ.e30.e30", errors.TokenAlgUnsupported),
    ],
)
def test_what_is_no_token(text: str, error: type[errors.JwksError]) -> None:
    """What isn't a signed JWT, or needs no public key, is no token that a published key could verify."""
    with pytest.raises(error):
        parse(text)


def test_as_it_is_copied() -> None:
    """Line breaks and a Bearer before the token don't matter."""
    token = sign(key("P-256"), "ES256", KID)
    assert parse(f"Bearer {token[:40]}\n {token[40:]}\n").compact == token
