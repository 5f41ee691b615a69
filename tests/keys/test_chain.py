"""Keys and certificates of one file -> keys with their chains."""

import base64
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from support import certificate_pem, certify, key, private_pem, public_pem, unb64

from jwks_server.errors import CertificateMismatch
from jwks_server.keys.jwk import public_key
from jwks_server.keys.pem import parse


class Chain(NamedTuple):
    """A leaf, its intermediate and its root."""

    leaf: x509.Certificate
    intermediate: x509.Certificate
    root: x509.Certificate


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Certify P-256's key by an intermediate, and that by a root."""
    root = certify(key("P-384", 1), name="root", ca=True)
    intermediate = certify(key("P-384", 2), (root, key("P-384", 1)), name="intermediate", ca=True)
    return Chain(certify(key("P-256"), (intermediate, key("P-384", 2))), intermediate, root)


def test_chain_of_a_private_key(chain: Chain) -> None:
    """A private key with its chain is one key, leaf first."""
    (found,) = parse(private_pem(key("P-256")) + certificate_pem(*chain))
    assert found.key == key("P-256").public_key()
    assert found.chain == chain


def test_chain_out_of_order(chain: Chain) -> None:
    """The chain is put in order; the issuers are never keys of their own."""
    (found,) = parse(certificate_pem(*reversed(chain)))
    assert found.key == key("P-256").public_key()
    assert found.chain == chain


def test_chain_with_a_certificate_twice(chain: Chain) -> None:
    """A certificate that stands twice in a file stands once in the chain."""
    (found,) = parse(certificate_pem(*chain, chain.intermediate))
    assert found.chain == chain


def test_x5_members(chain: Chain) -> None:
    """x5c is standard base64 of the DER, leaf first; x5t#S256 is the leaf's digest."""
    (found,) = parse(certificate_pem(*chain))
    members: Any = public_key(found).x5
    assert [base64.b64decode(one, validate=True) for one in members["x5c"]] == [
        one.public_bytes(Encoding.DER) for one in chain
    ]
    assert unb64(members["x5t#S256"]) == chain.leaf.fingerprint(hashes.SHA256())


def test_independent_certificates() -> None:
    """Two self-signed certificates are two keys, each with its own chain."""
    one, two = certify(key("P-256"), name="one", ca=True), certify(key("RSA"), name="two", ca=True)
    assert [found.chain for found in parse(certificate_pem(one, two))] == [(one,), (two,)]


def test_certificate_of_another_key() -> None:
    """A certificate that doesn't match the key beside it costs the file a clear error."""
    with pytest.raises(CertificateMismatch, match="Certificate 1 belongs neither"):
        parse(private_pem(key("P-256")) + certificate_pem(certify(key("RSA"))))


def test_stray_certificate_beside_a_good_pair(chain: Chain) -> None:
    """So does a certificate that is neither the key's own nor one of its chain."""
    with pytest.raises(CertificateMismatch, match="Certificate 4 belongs neither"):
        parse(private_pem(key("P-256")) + certificate_pem(*chain, certify(key("RSA"))))


def test_one_key_with_and_one_without_certificate(chain: Chain) -> None:
    """Of two keys in a file each has only its own chain."""
    with_chain, without = parse(private_pem(key("P-256")) + public_pem(key("RSA")) + certificate_pem(*chain))
    assert (with_chain.chain, without.chain) == (chain, ())


def test_cross_signed_issuer(chain: Chain) -> None:
    """Of a cross-signed issuer's two certificates the chain takes one, and the other is no stray."""
    other_root = certify(key("P-384", 3), name="other root", ca=True)
    crossed = certify(key("P-384", 2), (other_root, key("P-384", 3)), name="intermediate", ca=True)
    (found,) = parse(certificate_pem(*chain, crossed, other_root))
    assert found.chain == chain


def test_issuers_that_certify_each_other() -> None:
    """A loop of issuers without a leaf is an error, not an endless walk."""
    one, two = certify(key("P-384", 1), name="one", ca=True), certify(key("P-384", 2), name="two", ca=True)
    by_two = certify(key("P-384", 1), (two, key("P-384", 2)), name="one", ca=True)
    by_one = certify(key("P-384", 2), (one, key("P-384", 1)), name="two", ca=True)
    with pytest.raises(CertificateMismatch):
        parse(certificate_pem(by_two, by_one))


def test_renewed_certificate() -> None:
    """Two certificates of the same key are one key; the first one is its chain."""
    new, old = certify(key("P-256")), certify(key("P-256"))
    (found,) = parse(certificate_pem(new, old))
    assert found.chain == (new,)


def test_chain_with_a_gap(chain: Chain) -> None:
    """A root whose intermediate is missing is no key, and costs the leaf nothing."""
    for before in (b"", private_pem(key("P-256"))):
        (found,) = parse(before + certificate_pem(chain.leaf, chain.root))
        assert found.chain == (chain.leaf,)


def test_unrelated_authority(chain: Chain) -> None:
    """Nor is an authority that has nothing to do with the chain."""
    (found,) = parse(certificate_pem(*chain, certify(key("P-521"), name="other", ca=True)))
    assert found.chain == chain
