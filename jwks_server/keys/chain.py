"""Keys and certificates of one file -> keys, each with its own chain (RFC 7517 section 4.7)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from jwks_server.errors import CertificateMismatch
from jwks_server.keys.kinds import Use

_Issuers = dict[x509.Certificate, list[x509.Certificate]]


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A public key in a file.

    Attributes:
        key: The key.
        chain: Its certificates, leaf first; empty if it has none.
        private: Whether the file held the private half too.
        kid: RFC 7517 section 4.5; None if the file does not say it, as a PEM file never does. So are ``alg`` and
            ``use``.
        alg: RFC 7517 section 4.4.
        use: RFC 7517 section 4.2.
    """

    key: PublicKeyTypes
    chain: tuple[x509.Certificate, ...] = ()
    private: bool = False
    kid: str | None = None
    alg: str | None = None
    use: Use | None = None


def pair(keys: Sequence[PublicKeyTypes], certificates: Sequence[x509.Certificate]) -> tuple[FoundKey, ...]:
    """Give each key its chain; if there are no keys, those of the certificates that issued no other certificate count.

    Args:
        keys: A file's keys, each once, in the file's order.
        certificates: The same file's certificates, in any order.

    Raises:
        CertificateMismatch: A certificate belongs neither to a key nor to a key's chain.
    """
    issuers: _Issuers = {one: [other for other in certificates if issued(other, one)] for one in certificates}
    if not keys:
        keys = _distinct([one.public_key() for one in _leaves(certificates, issuers)])
    own = [[one for one in certificates if one.public_key() == key] for key in keys]
    accounted = {member for leaves in own for leaf in leaves for member in _ancestry(leaf, issuers)}
    for number, one in enumerate(certificates, start=1):
        # An authority that issued no other certificate here belongs to a chain with a gap; it is left out.
        if one not in accounted and not (accounted and _is_authority(one)):
            raise CertificateMismatch(
                f"Certificate {number} belongs neither to a key in this file nor to the chain of one; "
                "put each key into a file with its own chain, leaf first."
            )
    return tuple(
        FoundKey(key, tuple(_path(leaves[0], issuers)) if leaves else ()) for key, leaves in zip(keys, own, strict=True)
    )


def _leaves(certificates: Sequence[x509.Certificate], issuers: _Issuers) -> list[x509.Certificate]:
    """Find the certificates whose keys count: those that issued no other, and no authority if any other is left."""
    issuing = {issuer for found in issuers.values() for issuer in found}
    leaves = [one for one in certificates if one not in issuing]
    return [one for one in leaves if not _is_authority(one)] or leaves


def _distinct(keys: Sequence[PublicKeyTypes]) -> list[PublicKeyTypes]:
    return [key for at, key in enumerate(keys) if key not in keys[:at]]


def issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    """Return whether one key's holder certified another key; a self-signed certificate certifies no other.

    If the signature's algorithm is too old to be verified, or the names are equal but not written in the same
    string type, the names decide (RFC 5280 section 7.1).
    """
    if issuer.public_key() == subject.public_key() or not _same_name(issuer.subject, subject.issuer):
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return _is_authority(issuer)
    return True


def _same_name(one: x509.Name, other: x509.Name) -> bool:
    return one == other or one.rfc4514_string().casefold() == other.rfc4514_string().casefold()


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return False


def _path(leaf: x509.Certificate, issuers: _Issuers) -> Iterator[x509.Certificate]:
    """Follow the issuers from the leaf; of a cross-signed issuer's certificates, take the first."""
    seen = set()
    following: x509.Certificate | None = leaf
    while following is not None and following not in seen:
        seen.add(following)
        yield following
        following = next(iter(issuers[following]), None)


def _ancestry(leaf: x509.Certificate, issuers: _Issuers) -> set[x509.Certificate]:
    """Find all certificates that lead to the leaf, including itself and cross-signed issuers."""
    seen: set[x509.Certificate] = set()
    waiting = [leaf]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(issuers[one])
    return seen
