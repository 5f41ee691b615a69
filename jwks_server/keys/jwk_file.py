"""JSON bytes -> public keys: one JWK or a JWK Set (RFC 7517), and SPIFFE bundles, which are JWK Sets.

Only public members are read, each by its name. What they say is checked as it is for PEM: cryptography makes a public
key of them first.
"""

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from jwks_server.errors import (
    CertificateMismatch,
    JwkMalformed,
    JwkMissing,
    KeyInconsistent,
    KeyMalformed,
    KeySymmetric,
    KidInvalid,
    KindUnsupported,
)
from jwks_server.keys import json_object
from jwks_server.keys.chain import FoundKey, issued
from jwks_server.keys.json_object import Object, base64url, optional_text, text, texts
from jwks_server.keys.kinds import ENC_ALGS, Use

T = TypeVar("T")

ANY_JSON = ".json"
SUFFIXES = (ANY_JSON, ".jwk", ".jwks")
MAX_KEYS = 1000
MAX_KID = 255
_SHOWN = 40
_KEYS = ("kty", "keys")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})  # RFC 7518 section 6, RFC 9964
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}
_OKP: Mapping[str, Callable[[bytes], PublicKeyTypes]] = {
    "Ed25519": ed25519.Ed25519PublicKey.from_public_bytes,
    "Ed448": ed448.Ed448PublicKey.from_public_bytes,
    "X25519": x25519.X25519PublicKey.from_public_bytes,
    "X448": x448.X448PublicKey.from_public_bytes,
}
_AKP: Mapping[str, Callable[[bytes], PublicKeyTypes]] = {
    "ML-DSA-44": mldsa.MLDSA44PublicKey.from_public_bytes,
    "ML-DSA-65": mldsa.MLDSA65PublicKey.from_public_bytes,
    "ML-DSA-87": mldsa.MLDSA87PublicKey.from_public_bytes,
}
# SPIFFE's Trust Domain and Bundle document, section 4.2.2: jwt-svid keys verify JWTs, x509-svid ones do not.
_USES: Mapping[str, Use] = {"sig": "sig", "enc": "enc", "jwt-svid": "sig"}
_NOT_FOR_JWTS = "x509-svid"
_ENC_OPERATIONS = frozenset({"encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"})


def is_jwk_file(name: str, data: bytes) -> bool:
    """Report whether a file is to be read as JSON: because of its name, or because it holds an object and no PEM."""
    return name.endswith(SUFFIXES) or (
        data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") and b"-----BEGIN" not in data
    )


def may_hold_keys(data: bytes) -> bool:
    """Report whether the beginning of a JSON file is that of a JWK or a JWK Set."""
    return json_object.begins_with_member(data, _KEYS)


def parse(data: bytes) -> tuple[FoundKey, ...]:
    """Take the public keys out of a JWK or a JWK Set.

    Args:
        data: The file's bytes: JSON as UTF-8, with or without a byte order mark.

    Returns:
        At least one key, in the file's order, each once, with the kid, alg and use that the file gives it.

    Raises:
        JwkMissing: It is JSON, but without a key for JWTs.
        KeyFileError: The file as a whole is refused; the subclass says why.
    """
    found: list[FoundKey] = []
    for jwk in _jwks(json_object.read(data)):
        key = _found(jwk)
        same = [other for other in found if other.key == key.key]
        if not same:
            found.append(key)
        elif same != [key]:
            raise JwkMalformed(
                "The set has a key twice, with different members; write it once. Other kids of it go into jwks.toml, "
                "as aliases."
            )
    if not found:
        raise JwkMissing("The JWK Set holds no key for JWTs; put a key into it, or remove the file.")
    return tuple(found)


def _jwks(document: Object) -> Sequence[Object]:
    """List the JWKs that can be for JWTs."""
    if document.keys().isdisjoint(_KEYS):
        raise JwkMissing('The JSON has neither "kty" nor "keys", so it is neither a JWK nor a JWK Set; write one.')
    json_object.insist_on_depth(document)
    if "kty" in document:
        return [document]
    keys = document["keys"]
    if not isinstance(keys, list) or not any(map(_is_jwk, keys)):
        raise JwkMissing('"keys" lists no JWK, so the JSON is not a JWK Set that holds a key; put one into it.')
    if not all(map(_is_jwk, keys)):
        raise JwkMalformed('"keys" lists something else than JWKs; write the set again (RFC 7517 section 5).')
    if len(keys) > MAX_KEYS:
        raise JwkMalformed(f"The set has more than {MAX_KEYS} keys; split it.")
    return [one for one in keys if one.get("use") != _NOT_FOR_JWTS]


def _is_jwk(one: object) -> bool:
    return isinstance(one, dict) and "kty" in one


def _found(jwk: Object) -> FoundKey:
    key = _public_key(jwk)
    kid, alg = optional_text(jwk, "kid"), optional_text(jwk, "alg")
    if kid is not None and not (kid.isprintable() and len(kid) <= MAX_KID):
        raise KidInvalid(f"A kid in the file is not 1 to {MAX_KID} printable characters; give the key another kid.")
    private = not _PRIVATE.isdisjoint(jwk)
    return FoundKey(key, _chain(jwk, key), private=private, kid=kid, alg=alg, use=_use(jwk, alg))


def _public_key(jwk: Object) -> PublicKeyTypes:
    kty = text(jwk, "kty")
    if kty == "oct":
        raise KeySymmetric("A symmetric key is a secret: whoever has it can sign. Keep it out of the directory.")
    try:
        match kty:
            case "RSA":
                return rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n")).public_key()
            case "EC":
                curve = _one_of(_CURVES, text(jwk, "crv"))
                return ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), curve).public_key()
            case "OKP":
                return _one_of(_OKP, text(jwk, "crv"))(base64url(jwk, "x"))
            case "AKP":
                return _one_of(_AKP, text(jwk, "alg"))(base64url(jwk, "pub"))
    except UnsupportedAlgorithm as exc:
        raise KindUnsupported("OpenSSL does not support a key of the file; use another kind of key.") from exc
    except (ValueError, TypeError, OverflowError, InternalError) as exc:
        raise KeyInconsistent(
            f"The members of a JWK with the kty {kty} are not those of a key; generate it again."
        ) from exc
    raise _unsupported(kty)


def _number(jwk: Object, name: str) -> int:
    return int.from_bytes(base64url(jwk, name), "big")


def _one_of(kinds: Mapping[str, T], name: str) -> T:
    if name in kinds:
        return kinds[name]
    raise _unsupported(name)


def _unsupported(name: str) -> KindUnsupported:
    shown = name if name.isprintable() and len(name) <= _SHOWN else "this kind"
    return KindUnsupported(f"A JWK of {shown} can't be published; use RSA, P-256, P-384, P-521 or Ed25519.")


def _use(jwk: Object, alg: str | None) -> Use | None:
    """Return what the key is for: ``use``, else what ``key_ops`` or ``alg`` mean (RFC 7517 sections 4.2 to 4.4)."""
    said = optional_text(jwk, "use")
    if said is not None:
        if said not in _USES:
            raise JwkMalformed('The member "use" of a JWK is neither "sig" nor "enc"; correct it.')
        return _USES[said]
    operations = texts(jwk, "key_ops")
    if operations:
        return "enc" if _ENC_OPERATIONS.intersection(operations) else "sig"
    return "enc" if alg in ENC_ALGS else None


def _chain(jwk: Object, key: PublicKeyTypes) -> tuple[x509.Certificate, ...]:
    """Read the certificates; the first one must be for the key, and each must certify the one before it."""
    chain = tuple(_certificate(one) for one in texts(jwk, "x5c"))
    if not chain:
        return ()
    if chain[0].public_key() != key:
        raise CertificateMismatch('The first certificate in "x5c" is for another key; write the chain of this one.')
    digests = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303 - RFC 7517 section 4.8
    for name, digest in digests.items():
        if name in jwk and base64url(jwk, name) != chain[0].fingerprint(digest):
            raise CertificateMismatch(f'{name!r} is not the digest of the first certificate in "x5c"; correct it.')
    if not all(issued(issuer, subject) for subject, issuer in itertools.pairwise(chain)):
        raise CertificateMismatch('The certificates in "x5c" are not a chain, leaf first; put them in order.')
    return chain


def _certificate(written: str) -> x509.Certificate:
    """Decode a certificate: DER in base64, not base64url (RFC 7517 section 4.7)."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(written, validate=True))
        certificate.public_key()
    except UnsupportedAlgorithm as exc:
        raise KindUnsupported("A certificate holds a key of an unknown kind; use RSA, EC or Ed25519.") from exc
    except (ValueError, TypeError, OverflowError, InternalError, x509.InvalidVersion) as exc:
        raise KeyMalformed('A certificate in "x5c" can\'t be decoded; write the file again.') from exc
    return certificate
