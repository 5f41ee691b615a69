"""Entries of jwks.toml that stand for nothing."""

from support import evaluated, key, public_pem, thumbprint

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import KeyPolicy, Policy
from jwks_server.keys.unmatched import Names, nearest

FILE = read_file("a.pem", public_pem(key("P-256", 0)), None)
KID = thumbprint(key("P-256", 0))


def test_what_an_entry_may_name() -> None:
    """A kid, an alias, a thumbprint, a refused file's kid: each stands for something that is there."""
    bad = read_file("bad.pem", b"", None)
    policy = Policy(
        kid="filename",
        revoked=frozenset({KID, "main", "alias", "bad"}),
        files={"a.pem": KeyPolicy(kid="main", aliases=("alias",)), "bad.pem": KeyPolicy()},
    )
    assert evaluated([FILE, bad], policy).unmatched == Names()


def test_what_was_there() -> None:
    """The keys of the last set, and their files, are names too."""
    before = evaluated([FILE], Policy())
    policy = Policy(allow_empty=True, revoked=frozenset({KID}), files={"a.pem": KeyPolicy(alg="ES256")})
    after = evaluated([], policy, before.keyset, 10)
    assert after.unmatched == Names()
    assert evaluated([], policy, None, 10).unmatched == Names(frozenset({KID}), frozenset({"a.pem"}))


def test_nearest() -> None:
    """The nearest name is found, and none that is far."""
    assert nearest("2026-1l", {"2026-11", "2025-01"}) == "2026-11"
    assert nearest("A.PEM", {"a.pem", "b.pem"}) == "a.pem"
    assert nearest("a", {"a.pem", "b.pem"}) == "a.pem"
    assert nearest("x", {"2026-11"}) is None
