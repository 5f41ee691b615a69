"""What the operator decides about a set: which kinds, which algorithms, which key IDs."""

from dataclasses import dataclass

from jwks_server.keys.jwk import KidScheme


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's decisions about one key set.

    Attributes:
        allow: Kinds to publish beyond the default ones, by name: ``Ed448``, ``secp256k1``, ``ML-DSA-44``...
        kid: How a key's ``kid`` is made.
        rsa_alg: The ``alg`` of RSA keys (RFC 7518 section 3.1).
        ed_alg: ``EdDSA`` (RFC 8037) or ``Ed25519``, the fully specified names (RFC 9864).
        allow_empty: Whether a set without any key may be published.
        max_age: How long a cache may keep the set, in seconds (RFC 9111 section 5.2.2.1).
    """

    allow: frozenset[str] = frozenset()
    kid: KidScheme = "thumbprint"
    rsa_alg: str = "RS256"
    ed_alg: str = "EdDSA"
    allow_empty: bool = False
    max_age: int = 300
