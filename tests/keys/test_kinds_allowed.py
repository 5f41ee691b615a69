"""The kinds of keys, against what the RFCs and clients need of each."""

import pytest
from support import DEFAULT_KINDS, OPTIONAL_KINDS, key, public_pem

from jwks_server.keys import kinds
from jwks_server.keys.keyset import read_file


def test_defaults_are_what_breaks_no_client() -> None:
    """RSA, P-256, P-384, P-521 and Ed25519 are published without asking; the others are asked for by name."""
    assert {kind.name for kind in kinds.KINDS.values() if kind.sig and not kind.optional} == set(DEFAULT_KINDS)
    assert set(kinds.OPTIONAL_KINDS) == set(OPTIONAL_KINDS)


@pytest.mark.parametrize("name", [*DEFAULT_KINDS, *OPTIONAL_KINDS, "X25519"])
def test_kind_is_that_of_its_key(name: str) -> None:
    """Each kind is the one that a key of that name is read as, under that name."""
    (found,) = read_file("a.pem", public_pem(key(name)), None).keys
    assert found.kind is kinds.KINDS[name]
    assert found.kind.name == name


def test_each_kind_does_something() -> None:
    """Each kind but X25519 signs or encrypts; no algorithm of signatures is one of encryption."""
    assert {name for name, kind in kinds.KINDS.items() if not kind.sig and not kind.enc} == {"X25519"}
    assert not set(kinds.SIG_ALGS) & set(kinds.ENC_ALGS)
    assert len(set(kinds.SIG_ALGS)) == len(kinds.SIG_ALGS)


@pytest.mark.parametrize("unsafe", ["none", "HS256", "RSA1_5", "dir", "A128KW"])
def test_no_symmetric_or_broken_algorithm(unsafe: str) -> None:
    """No algorithm with a shared secret, and not RSA1_5, can be said of a published key."""
    assert unsafe not in (*kinds.SIG_ALGS, *kinds.ENC_ALGS)
