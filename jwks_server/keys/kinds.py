"""The kinds of keys that can be published, and the algorithms of each (RFC 7518, 8037, 8812, 9864, 9964)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

KidScheme = Literal["thumbprint", "spki-sha256", "filename"]
Use = Literal["sig", "enc"]

RSA_ALGS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ED_ALGS = ("EdDSA", "Ed25519")
_RSA_ENC_ALGS = ("RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", "RSA-OAEP")
_ECDH_ALGS = ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW")


@dataclass(frozen=True, slots=True)
class KeyType:
    """A key type: RFC 7517 section 4.1, and the members of its keys.

    Attributes:
        kty: Its name.
        members: Its keys' own members, in the order in which they are written.
        thumbprint_members: The members that the RFC 7638 thumbprint is made of.
    """

    kty: str
    members: tuple[str, ...]
    thumbprint_members: tuple[str, ...]


_RSA = KeyType("RSA", ("n", "e"), ("e", "kty", "n"))  # RFC 7638 section 3.2, as EC
_EC = KeyType("EC", ("crv", "x", "y"), ("crv", "kty", "x", "y"))
_OKP = KeyType("OKP", ("crv", "x"), ("crv", "kty", "x"))  # RFC 8037 section 2
_AKP = KeyType("AKP", ("pub",), ("alg", "kty", "pub"))  # RFC 9964 section 6
# In the order in which a set lists them. RSA is first: one client stops at the first type that it doesn't know.
_KEY_TYPES = (_RSA, _EC, _OKP, _AKP)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of key that can be published.

    Attributes:
        name: What ``--allow`` and the logs call it: the curve, the parameter set, or ``RSA``.
        type: Its key type.
        found_as: What cryptography calls it: the name of its curve, or else of its public keys' class.
        sig: The algorithms that it verifies (RFC 7518 section 3.1), the usual one first.
        enc: The algorithms that it encrypts with (RFC 7518 section 4.1), the usual one first.
        optional: Whether it is published only when it is asked for by name.
    """

    name: str
    type: KeyType
    found_as: str
    sig: tuple[str, ...] = ()
    enc: tuple[str, ...] = ()
    optional: bool = False

    @property
    def kty(self) -> str:
        """RFC 7517 section 4.1."""
        return self.type.kty

    @property
    def members(self) -> tuple[str, ...]:
        """The keys' own members, in the order in which they are written."""
        return self.type.members

    @property
    def thumbprint_members(self) -> tuple[str, ...]:
        """The members that the RFC 7638 thumbprint is made of."""
        return self.type.thumbprint_members

    @property
    def rank(self) -> int:
        """The place of its keys in a set: keys of a lower rank come first."""
        return _KEY_TYPES.index(self.type)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("RSA", _RSA, "RSAPublicKey", RSA_ALGS, _RSA_ENC_ALGS),
        Kind("P-256", _EC, "secp256r1", ("ES256",), _ECDH_ALGS),
        Kind("P-384", _EC, "secp384r1", ("ES384",), _ECDH_ALGS),
        Kind("P-521", _EC, "secp521r1", ("ES512",), _ECDH_ALGS),
        Kind("Ed25519", _OKP, "Ed25519PublicKey", ED_ALGS),
        Kind("X25519", _OKP, "X25519PublicKey"),  # without an algorithm: some clients drop a whole set for one
        Kind("Ed448", _OKP, "Ed448PublicKey", ("EdDSA", "Ed448"), optional=True),
        Kind("secp256k1", _EC, "secp256k1", ("ES256K",), optional=True),
        Kind("ML-DSA-44", _AKP, "MLDSA44PublicKey", ("ML-DSA-44",), optional=True),
        Kind("ML-DSA-65", _AKP, "MLDSA65PublicKey", ("ML-DSA-65",), optional=True),
        Kind("ML-DSA-87", _AKP, "MLDSA87PublicKey", ("ML-DSA-87",), optional=True),
    )
}
OPTIONAL_KINDS = tuple(kind.name for kind in KINDS.values() if kind.optional)
SIG_ALGS = tuple(dict.fromkeys(alg for kind in KINDS.values() for alg in kind.sig))
ENC_ALGS = tuple(dict.fromkeys(alg for kind in KINDS.values() for alg in kind.enc))


def kind_of(jwk: Mapping[str, object]) -> Kind | None:
    """Find the kind of a JWK by the members that name it; None if it is not one that can be published."""
    name = {"RSA": "RSA", "AKP": jwk.get("alg")}.get(str(jwk.get("kty")), jwk.get("crv"))
    kind = KINDS.get(str(name))
    return kind if kind and kind.kty == jwk.get("kty") else None
