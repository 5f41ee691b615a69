"""Which file publishes a key, and under which kid, alg and use, where JWKs say theirs."""

import base64
import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support import build, certify, evaluated, key, public_jwk, public_pem, thumbprint

from jwks_server.errors import AlgMismatch, KidConflict
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.policy import Policy, parse

ONE, OTHER, ED, RSA = key("P-256", 0), key("P-256", 1), key("Ed25519"), key("RSA")


def jwk_file(name: str, *jwks: Mapping[str, object]) -> KeyFile:
    """Read a JWK, or a JWK Set of several."""
    return read_file(name, json.dumps(jwks[0] if len(jwks) == 1 else {"keys": jwks}).encode(), None)


def published(*files: KeyFile, policy: str = "", defaults: Policy | None = None) -> dict[str, tuple[str, str, str]]:
    """Publish files; give the file, alg and use of each kid."""
    keyset = build(files, parse(policy.encode(), defaults or Policy()))
    return {one["kid"]: (key.file, one["alg"], one["use"]) for key in keyset.keys for one in [json.loads(key.json)]}


def error_of(name: str, *files: KeyFile, policy: str = "") -> object:
    """Return why a file is refused."""
    found = evaluated(files, parse(policy.encode(), Policy()))
    return next((one.error for one in found.verdicts if one.file == name and one.outcome == "refused"), None)


def test_what_a_jwk_says_is_published() -> None:
    """Its kid, alg and use go before the flags."""
    jwks = (
        public_jwk(RSA, kid="r", alg="PS384"),
        public_jwk(ONE, kid="e", use="enc", alg="ECDH-ES+A256KW"),
        public_jwk(ED, kid="o", alg="Ed25519"),
    )
    assert published(jwk_file("a.jwks", *jwks), defaults=Policy(kid="filename", rsa_alg="RS512")) == {
        "r": ("a.jwks", "PS384", "sig"),
        "e": ("a.jwks", "ECDH-ES+A256KW", "enc"),
        "o": ("a.jwks", "Ed25519", "sig"),
    }


def test_what_a_jwk_does_not_say_is_as_for_pem() -> None:
    """The scheme makes the kid, the flags choose the alg, and the use is for signatures."""
    defaults = Policy(kid="filename", rsa_alg="RS512")
    assert published(jwk_file("a.jwk", public_jwk(RSA)), defaults=defaults) == {"a": ("a.jwk", "RS512", "sig")}
    assert published(jwk_file("a.jwk", public_jwk(ONE, use="enc"))) == {thumbprint(ONE): ("a.jwk", "ECDH-ES", "enc")}


def test_jwks_toml_goes_before_the_jwk() -> None:
    """Each of kid, alg and use by itself, and all together."""
    file = jwk_file("a.jwk", public_jwk(RSA, kid="r", alg="PS384", use="sig"))
    assert published(file, policy='[keys."a.jwk"]\nkid = "k"\naliases = ["r"]') == {
        "k": ("a.jwk", "PS384", "sig"),
        "r": ("a.jwk", "PS384", "sig"),
    }
    assert published(file, policy='[keys."a.jwk"]\nalg = "RS256"') == {"r": ("a.jwk", "RS256", "sig")}
    policy = '[keys."a.jwk"]\nuse = "enc"\nalg = "RSA-OAEP"'
    assert published(file, policy=policy) == {"r": ("a.jwk", "RSA-OAEP", "enc")}
    assert isinstance(error_of("a.jwk", file, policy='[keys."a.jwk"]\nuse = "enc"'), AlgMismatch)


@pytest.mark.parametrize("said", [{"alg": "ES384"}, {"alg": "none"}, {"use": "enc", "alg": "ES256"}, {"alg": "\n" * 9}])
def test_an_alg_that_is_not_the_key_s(said: Mapping[str, str]) -> None:
    """It refuses the file; the message holds no other characters than printable ones."""
    error = error_of("a.jwk", jwk_file("a.jwk", public_jwk(ONE, **said)))
    assert isinstance(error, AlgMismatch)
    assert error.message.isprintable()


def test_a_jwk_changes_no_kid_that_is_published() -> None:
    """The same key as PEM keeps its file, its policy and its kid, whatever the names and certificates are."""
    pem = read_file("b.pem", public_pem(ONE), None)
    policy = '[keys."b.pem"]\nalg = "ES256"\naliases = ["old"]'
    alone = published(pem, policy=policy)
    assert published(jwk_file("a.json", public_jwk(ONE, kid="j")), pem, policy=policy) == alone
    x5c = [base64.b64encode(certify(ONE).public_bytes(Encoding.DER)).decode()]
    assert published(jwk_file("a.json", public_jwk(ONE, kid="j", x5c=x5c)), pem, policy=policy) == alone


def test_one_kid_for_two_keys() -> None:
    """The later JWK is refused; a PEM file whose key has that thumbprint never is, nor is one in front of jwks.toml."""
    first, second = jwk_file("a.jwk", public_jwk(ONE, kid="k")), jwk_file("b.jwk", public_jwk(OTHER, kid="k"))
    assert isinstance(error_of("b.jwk", first, second), KidConflict)
    assert list(published(first, second)) == ["k"]
    claims = jwk_file("a.jwk", public_jwk(ONE, kid=thumbprint(OTHER)))
    pem = read_file("b.pem", public_pem(OTHER), None)
    assert isinstance(error_of("a.jwk", claims, pem), KidConflict)
    assert published(claims, pem) == {thumbprint(OTHER): ("b.pem", "ES256", "sig")}
    assert isinstance(
        error_of("a.pem", read_file("a.pem", public_pem(OTHER), None), first, policy='[keys."a.pem"]\nkid = "k"'),
        KidConflict,
    )
    assert isinstance(
        error_of("a.jwks", jwk_file("a.jwks", public_jwk(ONE, kid="k"), public_jwk(OTHER, kid="k"))), KidConflict
    )


def test_a_kid_that_is_revoked() -> None:
    """A kid of a JWK can be revoked, and so can its thumbprint."""
    file = jwk_file("a.jwk", public_jwk(ONE, kid="k"))
    for name in ("k", thumbprint(ONE)):
        found = evaluated([file], parse(f'revoked = ["{name}"]'.encode(), Policy()))
        assert [(one.outcome, one.kids) for one in found.verdicts] == [("revoked", ("k",))]
        assert not found.unmatched.keys
