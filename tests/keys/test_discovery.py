"""A key set -> the discovery document."""

import json
from typing import Any

import pytest
from support import build, key, public_pem

from jwks_server.keys.discovery import document
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.policy import Policy, parse

PATH = "/.well-known/jwks.json"
POLICY = """
issuer = "https://id.example.com/acme"
retain = 100
[metadata]
zebra = "<ü> & 'b' \\u2028"
authorization_endpoint = "https://id.example.com/authorize?a=b&c=d"
token_endpoint = "https://id.example.com/token"
response_types_supported = ["code"]
subject_types_supported = ["public"]
"""


def files(*kinds: str) -> list[KeyFile]:
    """Make a file for each kind of key."""
    return [read_file(f"{kind}.pem", public_pem(key(kind)), None) for kind in kinds]


def policy(more: str = "") -> Policy:
    """Read the policy, with some more about keys."""
    return parse((POLICY + more).encode(), Policy())


def members(data: bytes | None) -> Any:
    """Read a document."""
    assert data is not None
    return json.loads(data)


def test_without_an_issuer() -> None:
    """Nothing is published where no issuer is named."""
    assert document(build(files("RSA"), Policy()), PATH) is None


def test_exact_bytes() -> None:
    """The members stand in a fixed order, compact, and every value as it was written."""
    assert (
        document(build(files("RSA"), policy()), PATH)
        == (
            '{"issuer":"https://id.example.com/acme","jwks_uri":"https://id.example.com/acme/.well-known/jwks.json",'
            '"id_token_signing_alg_values_supported":["RS256"],"zebra":"<ü> & \'b\' \u2028",'
            '"authorization_endpoint":"https://id.example.com/authorize?a=b&c=d",'
            '"token_endpoint":"https://id.example.com/token","response_types_supported":["code"],'
            '"subject_types_supported":["public"]}'
        ).encode()
    )


@pytest.mark.parametrize("issuer", ["https://id.example.com", "https://id.example.com/"])
def test_jwks_uri(issuer: str) -> None:
    """The set's path is put below the issuer's, with one slash between (RFC 8414 section 3.1)."""
    text = POLICY.replace("https://id.example.com/acme", issuer)
    found = members(document(build(files("RSA"), parse(text.encode(), Policy())), "/keys"))
    assert (found["issuer"], found["jwks_uri"]) == (issuer, "https://id.example.com/keys")


def test_algorithms_of_published_keys_only() -> None:
    """Keys for encryption and pending ones don't count; retiring ones do, since their tokens are still about."""
    more = (
        '[keys."P-384.pem"]\npublish_at = 1970-01-01T00:01:00Z\n'
        '[keys."P-521.pem"]\nuse = "enc"\nalg = "ECDH-ES"\n[keys."RSA.pem"]\nalg = "PS256"\n'
    )
    said = policy(more)
    all_kinds = files("RSA", "P-256", "P-384", "P-521", "Ed25519")
    first = build(all_kinds, said, None, 0.0)
    name = "id_token_signing_alg_values_supported"
    assert members(document(first, PATH))[name] == ["PS256", "ES256", "EdDSA"]
    assert members(document(build(all_kinds, said, first, 60.0), PATH))[name] == ["PS256", "ES256", "ES384", "EdDSA"]
    assert members(document(build(all_kinds[:1], said, first, 1.0), PATH))[name] == ["PS256", "ES256", "EdDSA"]


def test_no_empty_list() -> None:
    """Without a key for signatures the member is left out (RFC 8414 section 3.2)."""
    said = policy('[keys."P-521.pem"]\nuse = "enc"\nalg = "ECDH-ES"\n')
    assert "id_token_signing_alg_values_supported" not in members(document(build(files("P-521"), said), PATH))
