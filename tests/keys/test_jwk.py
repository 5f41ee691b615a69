"""Public key -> JWK members: the RFCs' vectors, and the length of every number."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from support import PUBLISHABLE_KINDS, key, private_pem, public_pem, unb64

from jwks_server import errors
from jwks_server.keys.jwk import PublicKey, algorithm, b64url, filename_kid, public_key, thumbprint
from jwks_server.keys.kinds import KINDS, kind_of
from jwks_server.keys.pem import parse

RFC_7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
    "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
    "kEgU8awapJzKnqDKgw"
)
RFC_7517_EC = {
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
RFC_7517_EC_D = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def described(pem: bytes) -> PublicKey:
    """Describe the only key of a file."""
    (found,) = parse(pem)
    return public_key(found)


def number(text: str) -> int:
    """Read a base64url number."""
    return int.from_bytes(unb64(text), "big")


def test_rfc_7638_section_3_1() -> None:
    """The RSA example gives the RFC's members and thumbprint."""
    public = rsa.RSAPublicNumbers(65537, number(RFC_7638_N)).public_key()
    found = described(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert found.members == {"n": RFC_7638_N, "e": "AQAB"}
    assert found.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_rfc_8037_appendix_a() -> None:
    """The Ed25519 example gives the RFC's members and thumbprint."""
    public = ed25519.Ed25519PublicKey.from_public_bytes(unb64(RFC_8037_X))
    found = described(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert found.members == {"crv": "Ed25519", "x": RFC_8037_X}
    assert found.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_rfc_7517_appendix_a() -> None:
    """The EC example of A.2 gives, from its private key alone, the public members of A.1."""
    private = ec.derive_private_key(number(RFC_7517_EC_D), ec.SECP256R1())
    assert described(private_pem(private)).members == RFC_7517_EC


def test_thumbprint_ignores_other_members() -> None:
    """A thumbprint is made of the required members alone (RFC 7638 section 3.2)."""
    key_members = {"kty": "RSA", "n": RFC_7638_N, "e": "AQAB"}
    assert thumbprint(KINDS["RSA"], key_members) == thumbprint(
        KINDS["RSA"], {**key_members, "alg": "RS256", "kid": "2011-04-29"}
    )


@pytest.mark.parametrize("kind", PUBLISHABLE_KINDS)
def test_kind_is_recognized(kind: str) -> None:
    """Each kind is told from its key."""
    assert described(public_pem(key(kind))).kind is KINDS[kind]


@pytest.mark.parametrize("kind", PUBLISHABLE_KINDS)
def test_spki_sha256(kind: str) -> None:
    """The SPKI kid is the digest of the DER, as Kubernetes computes it."""
    der = key(kind).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert unb64(described(public_pem(key(kind))).spki_sha256) == hashlib.sha256(der).digest()


@pytest.mark.parametrize("kind", PUBLISHABLE_KINDS)
def test_kind_owns_its_members(kind: str) -> None:
    """A key has exactly its kind's members, in the kind's order; a JWK with them is of that kind again."""
    found = described(public_pem(key(kind)))
    assert tuple(found.members) == KINDS[kind].members
    jwk = {"kty": found.kind.kty, "alg": found.kind.sig[0], **found.members}
    assert kind_of(jwk) is KINDS[kind]
    assert set(KINDS[kind].thumbprint_members) <= jwk.keys()


@pytest.mark.parametrize(
    "jwk", [{}, {"kty": "EC"}, {"kty": "OKP", "crv": "P-256"}, {"kty": "AKP", "alg": "RS256"}, {"kty": "oct"}]
)
def test_other_jwks_have_no_kind(jwk: dict[str, str]) -> None:
    """A JWK is of no kind if its type and its curve or algorithm don't belong together."""
    assert kind_of(jwk) is None


@given(
    st.sampled_from([(ec.SECP256R1(), 32), (ec.SECP384R1(), 48), (ec.SECP521R1(), 66), (ec.SECP256K1(), 32)]), st.data()
)
def test_coordinates_have_full_length(curve_and_size: tuple[ec.EllipticCurve, int], data: st.DataObject) -> None:
    """EC coordinates keep their leading zeros (RFC 7518 section 6.2.1.2)."""
    curve, size = curve_and_size
    private = ec.derive_private_key(data.draw(st.integers(1, 2**255)), curve)
    members = described(public_pem(private)).members
    point = private.public_key().public_numbers()
    assert (unb64(members["x"]), unb64(members["y"])) == (point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big"))


def test_coordinate_with_a_leading_zero() -> None:
    """The same for a key whose coordinate does begin with a zero byte."""
    scalar = next(
        d
        for d in range(1, 5000)
        if ec.derive_private_key(d, ec.SECP256R1()).public_key().public_numbers().x >> 248 == 0
    )
    members = described(public_pem(ec.derive_private_key(scalar, ec.SECP256R1()))).members
    assert unb64(members["x"])[0] == 0
    assert len(unb64(members["x"])) == 32


def test_rsa_integers_are_minimal() -> None:
    """RSA integers have no leading zero, which DER does have (RFC 7518 section 6.3.1)."""
    members = described(public_pem(key("RSA"))).members
    numbers = key("RSA").public_key().public_numbers()
    assert unb64(members["n"]) == numbers.n.to_bytes(256, "big")
    assert unb64(members["n"])[0] != 0
    assert members["e"] == "AQAB"


@given(st.binary())
def test_b64url(data: bytes) -> None:
    """Base64url has no padding and gives the bytes back."""
    assert unb64(b64url(data)) == data


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("RSA-1024", errors.KeyTooSmall),
        ("X448", errors.KindUnsupported),
        ("DSA", errors.KindUnsupported),
        ("brainpoolP256r1", errors.KindUnsupported),
    ],
)
def test_refused_kinds(kind: str, error: type[errors.KeyFileError]) -> None:
    """Keys that no JWT is verified with are refused, whichever half the file holds."""
    for pem in (private_pem(key(kind)), public_pem(key(kind))):
        with pytest.raises(error):
            described(pem)


@pytest.mark.parametrize(
    ("kind", "rsa_alg", "ed_alg", "expected"),
    [
        ("RSA", "PS256", "EdDSA", "PS256"),
        ("P-256", "RS256", "EdDSA", "ES256"),
        ("P-384", "RS256", "EdDSA", "ES384"),
        ("P-521", "RS256", "EdDSA", "ES512"),
        ("secp256k1", "RS256", "EdDSA", "ES256K"),
        ("Ed25519", "RS256", "EdDSA", "EdDSA"),
        ("Ed25519", "RS256", "Ed25519", "Ed25519"),
        ("Ed448", "RS256", "EdDSA", "EdDSA"),
        ("Ed448", "RS256", "Ed25519", "Ed448"),
        ("ML-DSA-65", "RS256", "EdDSA", "ML-DSA-65"),
    ],
)
def test_algorithm(kind: str, rsa_alg: str, ed_alg: str, expected: str) -> None:
    """Each kind has its algorithm; RSA's and the Edwards curves' are the operator's choice."""
    assert algorithm(KINDS[kind], "sig", rsa_alg, ed_alg) == expected


@pytest.mark.parametrize(
    ("name", "kid"),
    [("2026-11.pem", "2026-11"), ("tls.crt", "tls"), ("key", "key"), ("a.b.pem", "a.b"), ("é.pem", "é")],
)
def test_filename_kid(name: str, kid: str) -> None:
    """A file's name without its extension is the kid."""
    assert filename_kid(name) == kid


@pytest.mark.parametrize("name", ["a\nb.pem", "\udcff.pem", "a\x00.pem"])
def test_filename_that_is_no_kid(name: str) -> None:
    """A name that can't be written into JSON as it is can't be a kid."""
    with pytest.raises(errors.KidInvalid):
        filename_kid(name)
