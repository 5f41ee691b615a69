"""Files and policy -> the key set."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import (
    DEFAULT_KINDS,
    OPTIONAL_KINDS,
    PUBLISHABLE_KINDS,
    build,
    certificate_pem,
    certify,
    evaluated,
    key,
    private_pem,
    public_pem,
)

from jwks_server import errors
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.keyset import Key, KeyFile, KeySet, read_file
from jwks_server.keys.policy import Policy

EVERY_KIND = Policy(allow=frozenset(OPTIONAL_KINDS))


def file(name: str, *kinds: str, number: int = 0) -> KeyFile:
    """Read a file of public keys."""
    return read_file(name, b"".join(public_pem(key(kind, number)) for kind in kinds), None)


def jwks(keyset: KeySet) -> list[dict[str, Any]]:
    """Read the keys back from the body."""
    keys: list[dict[str, Any]] = json.loads(keyset.body)["keys"]
    return keys


def published(evaluation: Evaluation) -> tuple[Key, ...]:
    """Give the keys that are served."""
    assert evaluation.served is not None
    return evaluation.served.keys


def error_of(evaluation: Evaluation, name: str) -> errors.KeyFileError | None:
    """Find a file's error."""
    (verdict,) = [one for one in evaluation.verdicts if one.file == name]
    return verdict.error


def test_members_and_their_order() -> None:
    """The members come as kty, kid, use, alg, the key's own, x5c, x5t#S256."""
    certified = read_file("c.pem", certificate_pem(certify(key("Ed25519"))), None)
    keyset = build([file("a.pem", "RSA"), file("b.pem", "P-256"), certified, file("d.pem", "ML-DSA-44")], EVERY_KIND)
    assert [list(one) for one in jwks(keyset)] == [
        ["kty", "kid", "use", "alg", "n", "e"],
        ["kty", "kid", "use", "alg", "crv", "x", "y"],
        ["kty", "kid", "use", "alg", "crv", "x", "x5c", "x5t#S256"],
        ["kty", "kid", "use", "alg", "pub"],
    ]
    assert {one["use"] for one in jwks(keyset)} == {"sig"}


def test_order_of_keys() -> None:
    """The set is ordered RSA, EC, OKP, AKP, then by file name, then by kid."""
    keyset = build(
        [
            file("1.pem", "ML-DSA-44"),
            file("2.pem", "Ed25519"),
            file("3.pem", "P-256", "P-384"),
            file("5.pem", "RSA"),
            file("4.pem", "RSA", number=1),
        ],
        EVERY_KIND,
    )
    assert [one.file for one in keyset.keys] == ["4.pem", "5.pem", "3.pem", "3.pem", "2.pem", "1.pem"]
    assert keyset.keys[2].kid < keyset.keys[3].kid


@given(st.randoms(use_true_random=False))
def test_body_does_not_depend_on_the_order_of_files(shuffle: random.Random) -> None:
    """Every replica with the same files has the same bytes."""
    files = [file(f"{kind}.pem", kind) for kind in PUBLISHABLE_KINDS]
    files.append(read_file("certificate.pem", certificate_pem(LEAF), None))
    expected = build(files, EVERY_KIND).body
    shuffle.shuffle(files)
    assert build(files, EVERY_KIND).body == expected


LEAF = certify(key("P-256"))


def test_body_is_compact() -> None:
    """The body is JSON without white space, in UTF-8."""
    body = build([file("é.pem", "P-256")], Policy(kid="filename")).body
    assert body.startswith(b'{"keys":[{"kty":"EC","kid":"\xc3\xa9","use":"sig","alg":"ES256","crv":"P-256","x":"')
    assert b" " not in body


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_default_kinds(kind: str) -> None:
    """Kinds that break no client are published without asking."""
    assert len(build([file("a.pem", kind)], Policy()).keys) == 1


@pytest.mark.parametrize("kind", OPTIONAL_KINDS)
def test_optional_kinds(kind: str) -> None:
    """Kinds that cost some clients the whole set are published only when named; the good key stays."""
    files = [file("a.pem", kind), file("b.pem", "RSA")]
    refused = evaluated(files, Policy())
    assert [one.file for one in published(refused)] == ["b.pem"]
    assert isinstance(error_of(refused, "a.pem"), errors.KindNotAllowed)
    assert len(build(files, Policy(allow=frozenset({kind}))).keys) == 2


def test_one_bad_file_costs_no_good_key() -> None:
    """A file that is refused has a coded verdict, and the others are published."""
    found = evaluated([file("good.pem", "RSA"), read_file("bad.pem", b"nonsense", None)], Policy())
    assert [one.file for one in published(found)] == ["good.pem"]
    assert isinstance(error_of(found, "bad.pem"), errors.PemMissing)
    assert [one.file for one in found.verdicts] == ["bad.pem", "good.pem"]


@pytest.mark.parametrize("names", [("a.pem", "b.pem"), ("b.pem", "a.pem")])
def test_same_key_twice_prefers_the_certificate(names: tuple[str, str]) -> None:
    """A key, its public half and its certificate are published once, with the certificate."""
    plain, certified = names
    found = evaluated(
        [read_file(plain, private_pem(key("P-256")), None), read_file(certified, certificate_pem(LEAF), None)], Policy()
    )
    assert [one.file for one in published(found)] == [certified]
    assert found.keyset is not None
    assert "x5c" in jwks(found.keyset)[0]
    (verdict,) = [one for one in found.verdicts if one.file == plain]
    assert verdict.duplicate_of == certified


def test_same_key_twice_without_certificate() -> None:
    """Of two equal files the first, by name, is published."""
    found = evaluated([file("b.pem", "RSA"), file("a.pem", "RSA")], Policy())
    assert [one.file for one in published(found)] == ["a.pem"]
    assert [(one.file, one.duplicate_of) for one in found.verdicts] == [("a.pem", None), ("b.pem", "a.pem")]


def test_same_kid_for_two_keys() -> None:
    """The later file is refused; a duplicate that it had pushed aside comes back."""
    found = evaluated(
        [file("x.crt", "RSA"), file("x.pem", "P-256"), file("y.pem", "P-256")],
        Policy(kid="filename"),
    )
    assert [(one.file, one.kid) for one in published(found)] == [("x.crt", "x"), ("y.pem", "y")]
    assert isinstance(error_of(found, "x.pem"), errors.KidConflict)


def test_several_keys_under_one_file_name() -> None:
    """A file of several keys can't be named by its file name, and holds no kid back from others."""
    found = evaluated([file("x.crt", "RSA", "P-256"), file("x.pem", "P-384")], Policy(kid="filename"))
    assert [one.file for one in published(found)] == ["x.pem"]
    assert isinstance(error_of(found, "x.crt"), errors.KidConflict)


def test_kid_schemes() -> None:
    """Each scheme names the key its own way."""
    kids = {
        scheme: build([file("n.pem", "RSA")], Policy(kid=scheme)).keys[0].kid
        for scheme in ("thumbprint", "spki-sha256", "filename")
    }
    found = file("n.pem", "RSA").keys[0]
    assert kids == {"thumbprint": found.thumbprint, "spki-sha256": found.spki_sha256, "filename": "n"}


def test_no_files() -> None:
    """No files make a set without keys; whether it may be published is not decided here."""
    assert build([], Policy()).body == b'{"keys":[]}'


@given(st.binary(max_size=200))
def test_any_file(data: bytes) -> None:
    """A file with any content affects no other file."""
    keyset = build([read_file("any.pem", data, None), file("good.pem", "RSA")], Policy())
    assert [one.file for one in keyset.keys] == ["good.pem"]
