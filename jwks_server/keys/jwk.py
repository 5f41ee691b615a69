"""Public key -> JWK members, built by naming each public one (RFC 7517, 7518, 8037, 8812, 9964)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from jwks_server.errors import KeyInconsistent, KeyTooSmall, KidInvalid, KindUnsupported
from jwks_server.keys.chain import FoundKey
from jwks_server.keys.kinds import KINDS, Kind, Use

Members = Mapping[str, str | list[str]]

MIN_RSA_BITS = 2048
MIN_RSA_EXPONENT = 3


@dataclass(frozen=True, slots=True)
class PublicKey:
    """All that a key's bytes decide about its JWK, whatever the policy.

    Attributes:
        kind: Which kind of key it is.
        members: The members that are the key's own, such as ``n`` and ``e``.
        x5: ``x5c`` and ``x5t#S256`` where the key came with a certificate, else empty.
        thumbprint: The RFC 7638 SHA-256 thumbprint; two keys are the same key when theirs are equal.
        spki_sha256: The digest that Kubernetes names service-account keys by.
        not_after: When the certificate ends, in seconds since the epoch; None where there is none.
        private: Whether the file held the private half too.
    """

    kind: Kind
    members: Mapping[str, str]
    x5: Members
    thumbprint: str
    spki_sha256: str
    not_after: float | None = None
    private: bool = False


_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}
# RFC 7638 section 3.2, RFC 8037 section 2, RFC 9964 section 6.
_THUMBPRINT_MEMBERS = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "AKP": ("alg", "kty", "pub"),
}


def public_key(found: FoundKey) -> PublicKey:
    """Describe a key that was found in a file.

    Raises:
        KeyTooSmall: An RSA key under 2048 bits.
        KeyInconsistent: An RSA key with an exponent that can't be.
        KindUnsupported: A key that no JWT is made with.
    """
    kind, members = _kind_and_members(found.key)
    return PublicKey(
        kind=kind,
        members=members,
        x5=_x5_members(found),
        thumbprint=thumbprint({"kty": kind.kty, "alg": next(iter(kind.sig), ""), **members}),
        spki_sha256=_spki_sha256(found.key),
        not_after=found.chain[0].not_valid_after_utc.timestamp() if found.chain else None,
        private=found.private,
    )


def b64url(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _kind_and_members(key: PublicKeyTypes) -> tuple[Kind, dict[str, str]]:  # noqa: PLR0911 - one a kind
    """RSA integers are minimal, EC coordinates full length (RFC 7518 sections 6.3.1 and 6.2.1.2)."""
    match key:
        case rsa.RSAPublicKey():
            return KINDS["RSA"], _rsa_members(key)
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            name = _CURVES[key.curve.name]
            size = (key.curve.key_size + 7) // 8
            point = key.public_numbers()
            return KINDS[name], {
                "crv": name,
                "x": b64url(point.x.to_bytes(size, "big")),
                "y": b64url(point.y.to_bytes(size, "big")),
            }
        case ed25519.Ed25519PublicKey():
            return KINDS["Ed25519"], {"crv": "Ed25519", "x": b64url(key.public_bytes_raw())}
        case x25519.X25519PublicKey():
            return KINDS["X25519"], {"crv": "X25519", "x": b64url(key.public_bytes_raw())}
        case ed448.Ed448PublicKey():
            return KINDS["Ed448"], {"crv": "Ed448", "x": b64url(key.public_bytes_raw())}
        case mldsa.MLDSA44PublicKey():
            return KINDS["ML-DSA-44"], {"pub": b64url(key.public_bytes_raw())}
        case mldsa.MLDSA65PublicKey():
            return KINDS["ML-DSA-65"], {"pub": b64url(key.public_bytes_raw())}
        case mldsa.MLDSA87PublicKey():
            return KINDS["ML-DSA-87"], {"pub": b64url(key.public_bytes_raw())}
        case _:
            raise KindUnsupported(f"{_describe(key)} is of no use to clients; use RSA, P-256, P-384, P-521 or Ed25519.")


def _rsa_members(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    if key.key_size < MIN_RSA_BITS:
        raise KeyTooSmall(
            f"The RSA key has {key.key_size} bits, and RFC 7518 asks for {MIN_RSA_BITS}; generate a new key."
        )
    if numbers.e < MIN_RSA_EXPONENT or numbers.e % 2 == 0:
        raise KeyInconsistent(f"{numbers.e} is no exponent of an RSA key; generate a new key.")
    return {"n": _uint(numbers.n), "e": _uint(numbers.e)}


def _describe(key: PublicKeyTypes) -> str:
    match key:
        case x448.X448PublicKey():
            return "An X448 key"
        case dsa.DSAPublicKey():
            return "A DSA key"
        case ec.EllipticCurvePublicKey():
            return f"A key on the curve {key.curve.name}"
        case _:
            return "A key of this kind"


def algorithm(kind: Kind, use: Use, rsa_alg: str, ed_alg: str) -> str | None:
    """Name the usual algorithm of a kind for a use; None where it has none (RFC 7518, RFC 8037, RFC 9864)."""
    if use == "enc":
        return next(iter(kind.enc), None)
    if kind.kty == "RSA":
        return rsa_alg
    if kind.kty == "OKP" and kind.sig and ed_alg != "EdDSA":
        return kind.name
    return next(iter(kind.sig), None)


def digest(data: bytes) -> str:
    """Digest bytes with SHA-256, as base64url: for thumbprints and entity tags."""
    return b64url(hashlib.sha256(data).digest())


def thumbprint(members: Members) -> str:
    """Digest a JWK's required members with SHA-256, as base64url (RFC 7638 section 3)."""
    required = {name: members[name] for name in _THUMBPRINT_MEMBERS[str(members["kty"])]}
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode("utf-8")
    return digest(canonical)


def _spki_sha256(key: PublicKeyTypes) -> str:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return digest(spki)


def filename_kid(name: str) -> str:
    """Take a kid from a file's name: what is left of it without folder and extension.

    Raises:
        KidInvalid: The name is not UTF-8 or holds control characters, so it can't be written into JSON as is.
    """
    stem = name.rpartition("/")[2]
    stem = stem.rpartition(".")[0] or stem
    if not stem.isprintable():
        raise KidInvalid("The file's name can't serve as kid; rename the file, or choose --kid thumbprint.")
    return stem


def _x5_members(found: FoundKey) -> dict[str, str | list[str]]:
    """List the chain in standard base64, unlike all other members (RFC 7517 sections 4.7 and 4.9)."""
    if not found.chain:
        return {}
    return {
        "x5c": [base64.b64encode(one.public_bytes(Encoding.DER)).decode("ascii") for one in found.chain],
        "x5t#S256": b64url(found.chain[0].fingerprint(hashes.SHA256())),
    }


def _uint(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
