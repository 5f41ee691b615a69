"""The kinds of keys, and what each says about its JWK."""

import pytest
from support import DEFAULT_KINDS, OPTIONAL_KINDS

from jwks_server.keys import kinds
from jwks_server.keys.kinds import ENC_ALGS, KINDS, SIG_ALGS, Kind


def test_default_and_optional() -> None:
    """Kinds that break clients are published only when they are asked for."""
    assert kinds.OPTIONAL_KINDS == OPTIONAL_KINDS
    assert {name for name, kind in KINDS.items() if not kind.optional} == {*DEFAULT_KINDS, "X25519"}


def test_order_in_a_set() -> None:
    """RSA comes first, since one client stops at the first type that it doesn't know."""
    ordered = list(dict.fromkeys(kind.kty for kind in sorted(KINDS.values(), key=lambda kind: kind.rank)))
    assert ordered == ["RSA", "EC", "OKP", "AKP"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_members(kind: Kind) -> None:
    """A thumbprint is made of kty and the key's own members, with alg only where alg names the parameters."""
    alg = {"alg"} if kind.kty == "AKP" else set()
    assert set(kind.thumbprint_members) == {"kty", *kind.members} | alg
    assert list(kind.thumbprint_members) == sorted(kind.thumbprint_members)


def test_each_kind_is_found_once() -> None:
    """No two kinds are found as the same thing, and each but X25519 verifies or encrypts with something."""
    assert len({kind.found_as for kind in KINDS.values()}) == len(KINDS)
    assert {name for name, kind in KINDS.items() if not kind.sig and not kind.enc} == {"X25519"}
    assert not set(SIG_ALGS) & set(ENC_ALGS)
