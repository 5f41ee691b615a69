"""What is allowed, but will likely hurt someone."""

from dataclasses import replace

from support import certificate_pem, certify, key, private_pem, public_pem

from jwks_server.keys.build import build
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.lint import CODES, lint
from jwks_server.keys.policy import Policy

RSA = read_file("rsa.pem", public_pem(key("RSA")), None)


def codes(*files: KeyFile, now: float = 0, mounted: tuple[str, ...] = ()) -> list[str]:
    """Look the set of some files over."""
    return [finding.code for finding in lint(build(files, Policy(allow_empty=True)), files, mounted, now)]


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
    assert codes(RSA, mounted=(".", "tls.crt")) == ["subpath-mount"] * 2


def test_codes_are_listed() -> None:
    """Every code of these tests is one of the list that README shows."""
    assert {"empty-set", "many-keys", "large-body", "no-rsa", "private-key-exposed", "subpath-mount"} < set(CODES)
