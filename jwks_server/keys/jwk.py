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

# Making an encoder takes longer than a small document does.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
MIN_RSA_BITS = 2048
MIN_RSA_EXPONENT = 3


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a key's bytes decide about its JWK, independent of the policy.

    Attributes:
        kind: Which kind of key it is.
        members: The members that are the key's own, such as ``n`` and ``e``.
        x5: ``x5c`` and ``x5t#S256`` if the key came with a certificate, else empty.
        thumbprint: The RFC 7638 SHA-256 thumbprint; two keys are the same key if their thumbprints are equal.
        spki_sha256: The digest that Kubernetes uses as the kid of service-account keys.
        not_after: When the certificate ends, in seconds since the epoch; None where there is none.
        private: Whether the file also holds the private half.
        kid: RFC 7517 section 4.5, if the file says it, as only a JWK does. So are ``alg`` and ``use``.
        alg: RFC 7517 section 4.4.
        use: RFC 7517 section 4.2.
    """

    kind: Kind
    members: Mapping[str, str]
    x5: Members
    thumbprint: str
    spki_sha256: str
    not_after: float | None = None
    private: bool = False
    kid: str | None = None
    alg: str | None = None
    use: Use | None = None


_KINDS = {kind.found_as: kind for kind in KINDS.values()}


def public_key(found: FoundKey) -> PublicKey:
    """Describe a key that was found in a file.

    Raises:
        KeyTooSmall: An RSA key under 2048 bits.
        KeyInconsistent: An RSA key with an impossible exponent.
        KindUnsupported: A key of a kind that JWTs don't use.
    """
    kind = _kind(found.key)
    members = _members(found.key, kind)
    return PublicKey(
        kind=kind,
        members=members,
        x5=_x5_members(found),
        thumbprint=thumbprint(kind, {"kty": kind.kty, "alg": next(iter(kind.sig), ""), **members}),
        spki_sha256=_spki_sha256(found.key),
        not_after=found.chain[0].not_valid_after_utc.timestamp() if found.chain else None,
        private=found.private,
        kid=found.kid,
        alg=found.alg,
        use=found.use,
    )


def b64url(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _kind(key: PublicKeyTypes) -> Kind:
    name = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
    if kind := _KINDS.get(name):
        return kind
    raise KindUnsupported(f"{_describe(key)} can't verify or encrypt JWTs; use RSA, P-256, P-384, P-521 or Ed25519.")


def _members(key: PublicKeyTypes, kind: Kind) -> dict[str, str]:
    """RSA integers are minimal, EC coordinates full length (RFC 7518 sections 6.3.1 and 6.2.1.2)."""
    match key:
        case rsa.RSAPublicKey():
            return _rsa_members(key)
        case ec.EllipticCurvePublicKey():
            size = (key.curve.key_size + 7) // 8
            point = key.public_numbers()
            return {
                "crv": kind.name,
                "x": b64url(point.x.to_bytes(size, "big")),
                "y": b64url(point.y.to_bytes(size, "big")),
            }
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey() | x25519.X25519PublicKey():
            return {"crv": kind.name, "x": b64url(key.public_bytes_raw())}
        case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey():
            return {"pub": b64url(key.public_bytes_raw())}
        case _:
            raise AssertionError("each kind has its members")


def _rsa_members(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    if key.key_size < MIN_RSA_BITS:
        raise KeyTooSmall(
            f"The RSA key has {key.key_size} bits, and RFC 7518 requires {MIN_RSA_BITS}; generate a new key."
        )
    if numbers.e < MIN_RSA_EXPONENT or numbers.e % 2 == 0:
        raise KeyInconsistent(f"{numbers.e} is not a valid exponent of an RSA key; generate a new key.")
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


def to_json(kid: str, alg: str, use: Use, public: PublicKey, *, x5c: bool) -> bytes:
    """Write a JWK as compact UTF-8 JSON, its members in a fixed order (RFC 7517 section 4)."""
    members: dict[str, str | list[str]] = {"kty": public.kind.kty, "kid": kid, "use": use, "alg": alg, **public.members}
    if x5c:
        members |= public.x5
    return _COMPACT.encode(members).encode("utf-8")


def algorithm(kind: Kind, use: Use, rsa_alg: str, ed_alg: str) -> str | None:
    """Name the usual algorithm of a kind for a use; None if it has none (RFC 7518, RFC 8037, RFC 9864)."""
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


def thumbprint(kind: Kind, members: Members) -> str:
    """Digest a JWK's required members with SHA-256, as base64url (RFC 7638 section 3)."""
    required = {name: members[name] for name in kind.thumbprint_members}
    return digest(_CANONICAL.encode(required).encode("utf-8"))


def _spki_sha256(key: PublicKeyTypes) -> str:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return digest(spki)


def filename_kid(name: str) -> str:
    """Make a kid from a file's name: the name without its folder and extension.

    Raises:
        KidInvalid: The name is not UTF-8 or holds control characters, so it can't be written into JSON as it is.
    """
    stem = name.rpartition("/")[2]
    stem = stem.rpartition(".")[0] or stem
    if not stem.isprintable():
        raise KidInvalid("The file's name can't be a kid; rename the file, or choose --kid thumbprint.")
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
