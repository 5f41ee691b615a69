"""The kinds of keys that can be published, and the algorithms of each (RFC 7518, 8037, 8812, 9864, 9964)."""

from dataclasses import dataclass
from typing import Literal

KidScheme = Literal["thumbprint", "spki-sha256", "filename"]
Use = Literal["sig", "enc"]

RSA_ALGS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ED_ALGS = ("EdDSA", "Ed25519")
_RSA_ENC_ALGS = ("RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", "RSA-OAEP")
_ECDH_ALGS = ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of key that can be published.

    Attributes:
        name: What ``--allow`` and the logs call it: the curve, the parameter set, or ``RSA``.
        kty: RFC 7517 section 4.1.
        sig: The algorithms that it verifies (RFC 7518 section 3.1), the usual one first.
        enc: The algorithms that it encrypts with (RFC 7518 section 4.1), the usual one first.
        optional: Whether it is published only when it is asked for by name.
    """

    name: str
    kty: str
    sig: tuple[str, ...] = ()
    enc: tuple[str, ...] = ()
    optional: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("RSA", "RSA", RSA_ALGS, _RSA_ENC_ALGS),
        Kind("P-256", "EC", ("ES256",), _ECDH_ALGS),
        Kind("P-384", "EC", ("ES384",), _ECDH_ALGS),
        Kind("P-521", "EC", ("ES512",), _ECDH_ALGS),
        Kind("Ed25519", "OKP", ED_ALGS),
        Kind("X25519", "OKP", (), _ECDH_ALGS),
        Kind("Ed448", "OKP", ("EdDSA", "Ed448"), optional=True),
        Kind("secp256k1", "EC", ("ES256K",), optional=True),
        Kind("ML-DSA-44", "AKP", ("ML-DSA-44",), optional=True),
        Kind("ML-DSA-65", "AKP", ("ML-DSA-65",), optional=True),
        Kind("ML-DSA-87", "AKP", ("ML-DSA-87",), optional=True),
    )
}
OPTIONAL_KINDS = tuple(kind.name for kind in KINDS.values() if kind.optional)
SIG_ALGS = tuple(dict.fromkeys(alg for kind in KINDS.values() for alg in kind.sig))
ENC_ALGS = tuple(dict.fromkeys(alg for kind in KINDS.values() for alg in kind.enc))
