"""What is allowed, but will likely hurt someone."""

from dataclasses import replace

import pytest
from support import certificate_pem, certify, evaluated, key, private_pem, public_pem

from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.lint import CODES, lint
from jwks_server.keys.policy import KeyPolicy, Policy

RSA = read_file("rsa.pem", public_pem(key("RSA")), None)


def codes(*files: KeyFile, now: float = 0, mounted: tuple[str, ...] = (), policy: Policy | None = None) -> list[str]:
    """Look the set of some files over."""
    found = evaluated(files, policy or Policy(allow_empty=True))
    return [finding.code for finding in lint(found, mounted, now)]


def test_nothing_to_say() -> None:
    """A set of one RSA key is fine."""
    assert codes(RSA) == []


def test_the_set() -> None:
    """No key, too many, too large, no RSA key."""
    assert codes() == ["empty-set"]
    many = [read_file(f"{n}", public_pem(key("P-256", n)), None) for n in range(11)]
    assert codes(RSA, *many[:9]) == []
    assert codes(RSA, *many[:10]) == ["many-keys"]
    assert codes(*many) == ["many-keys", "no-rsa"]
    long = replace(RSA, keys=(replace(RSA.keys[0], x5={"x5c": ["A" * 46 * 1024]}),))
    assert codes(long) == ["large-body"]


def test_certificates() -> None:
    """A certificate that has expired, and one that will within 14 days."""
    file = read_file("a", certificate_pem(certify(key("RSA"))), None)
    end = file.keys[0].not_after
    assert end is not None
    assert codes(file, now=end - 15 * 86400) == []
    assert codes(file, now=end - 13 * 86400) == ["certificate-expiring"]
    assert codes(file, now=end) == ["certificate-expired"]


def test_files() -> None:
    """A private key that everyone may read, and not a public one; mounts that are never updated."""
    private = replace(read_file("a", private_pem(key("RSA")), None), world_readable=True)
    assert codes(private) == ["private-key-exposed"]
    assert codes(replace(private, world_readable=False)) == []
    assert codes(replace(RSA, world_readable=True)) == []
    assert codes(RSA, mounted=(".", "rsa.pem", "other")) == ["subpath-mount"] * 2


def test_policy_entries() -> None:
    """An entry of jwks.toml that stands for nothing is told, with the name that was probably meant."""
    kid = RSA.keys[0].thumbprint
    typo = kid[:-1] + ("A" if kid[-1] != "A" else "B")
    policy = Policy(revoked=frozenset({typo}), files={"rs.pem": KeyPolicy()})
    found = evaluated([RSA], policy)
    told = [(one.code, one.subject, one.reason.partition("did you mean ")[2]) for one in lint(found, (), 0)]
    assert told == [
        ("policy-entry-unmatched", typo, f'"{kid}"?'),
        ("policy-entry-unmatched", "rs.pem", '"rsa.pem"?'),
    ]
    named = evaluated([RSA], Policy(revoked=frozenset({"rsa.pem"})))
    assert [one.reason.partition("; ")[2] for one in lint(named, (), 0) if one.subject == "rsa.pem"] == [
        'that is a file; write the kid that jwks-server check shows of "rsa.pem".'
    ]
    assert codes(RSA, policy=Policy(files={"rsa.pem": KeyPolicy(aliases=("old",))}, revoked=frozenset())) == []
    far = evaluated([RSA], Policy(revoked=frozenset({"x"})))
    assert "correct it, or remove it" in lint(far, (), 0)[0].reason


@pytest.mark.parametrize("name", ["thumbprint", "old", "main"])
def test_revoked_key_whose_file_is_deleted(name: str) -> None:
    """An entry that stood for a key once is no mistake later: a revoked key's file may be deleted."""
    policy = Policy(allow_empty=True, files={"rsa.pem": KeyPolicy(kid="main", aliases=("old",))})
    revoked = RSA.keys[0].thumbprint if name == "thumbprint" else name
    revoking = replace(policy, revoked=frozenset({revoked}))
    before = evaluated([RSA], revoking, evaluated([RSA], policy))
    assert before.served is not None
    assert before.served.keys == ()
    after = evaluated([], revoking, before, 10)
    again = evaluated([], replace(revoking, retain=1), after, 20)
    assert [one.code for found in (before, after, again) for one in lint(found, (), 0)] == ["empty-set"] * 3


def test_codes_are_listed() -> None:
    """Every code of these tests is one of the list that the reference shows."""
    assert {"empty-set", "many-keys", "large-body", "no-rsa", "private-key-exposed", "subpath-mount"} < set(CODES)
