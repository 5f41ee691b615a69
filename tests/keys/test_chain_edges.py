"""Chains whose signatures can't be verified, and keys with more than one certificate."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from support import build, certificate_pem, certify, key, public_pem

from jwks_server.keys.keyset import read_file
from jwks_server.keys.pem import parse
from jwks_server.keys.policy import Policy

SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")
MD5_WITH_RSA = bytes.fromhex("2a864886f70d010104")


def test_signature_that_is_too_old_to_be_verified() -> None:
    """Where the signature's algorithm isn't supported any more, the names and the authority make the chain."""
    authority = certify(key("RSA"), name="authority", ca=True)
    leaf = certify(key("P-256"), (authority, key("RSA")))
    der = leaf.public_bytes(Encoding.DER).replace(SHA256_WITH_RSA, MD5_WITH_RSA)
    old = x509.load_der_x509_certificate(der)
    (found,) = parse(certificate_pem(old, authority))
    assert (found.key, found.chain) == (key("P-256").public_key(), (old, authority))


def test_old_signature_by_what_is_no_authority() -> None:
    """The names alone don't make an issuer of a certificate that may not issue any."""
    no_authority = certify(key("RSA"), name="authority")
    leaf = certify(key("P-256"), (no_authority, key("RSA")))
    der = leaf.public_bytes(Encoding.DER).replace(SHA256_WITH_RSA, MD5_WITH_RSA)
    found = parse(certificate_pem(x509.load_der_x509_certificate(der), no_authority))
    assert [len(one.chain) for one in found] == [1, 1]


def test_names_in_another_string_type() -> None:
    """An issuer's name that is written in another string type is the same name (RFC 5280 section 7.1)."""
    written = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority", _ASN1Type.PrintableString)])
    authority = certify(key("RSA"), name="authority", ca=True)
    now = datetime.now(UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]))
        .issuer_name(written)
        .public_key(key("P-256").public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key("RSA"), hashes.SHA256())
    )
    (found,) = parse(certificate_pem(leaf, authority))
    assert found.chain == (leaf, authority)


def test_first_of_two_certificates_of_a_key() -> None:
    """Of two certificates of one key in a file the first is published, whichever is newer."""
    private = key("P-256")
    certificates = [certify(private, name=name) for name in ("one", "other")]
    for first, second in (certificates, certificates[::-1]):
        (found,) = parse(public_pem(private) + certificate_pem(first, second))
        assert found.chain == (first,)


def test_first_certificate_of_an_issuer() -> None:
    """Of a cross-signed issuer's certificates the chain goes on with the first."""
    roots = [(certify(key("RSA", number), name=f"root {number}", ca=True), key("RSA", number)) for number in (1, 2)]
    middle = key("P-384")
    crossed = [certify(middle, root, name="middle", ca=True) for root in roots]
    leaf = certify(key("P-256"), (crossed[0], middle))
    for first, second in (crossed, crossed[::-1]):
        (found,) = parse(certificate_pem(leaf, first, second, roots[0][0], roots[1][0]))
        assert found.chain[:2] == (leaf, first)
        assert len(found.chain) == 3


def test_first_file_with_a_certificate() -> None:
    """A key that stands in two files with certificates is published from the first, with that file's certificate."""
    private = key("P-256")
    files = [read_file(name, certificate_pem(certify(private, name=name)), None) for name in ("a.pem", "b.pem")]
    (published,) = build(files, Policy()).keys
    assert published.file == "a.pem"
    assert published.public.x5 == files[0].keys[0].x5
