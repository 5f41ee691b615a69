"""PEM bytes -> public keys, each with the certificate chain in the same file (RFC 7468)."""

import base64
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import PublicKeyAlgorithmOID

from jwks_server.errors import (
    KeyInconsistent,
    KeyMalformed,
    KindUnsupported,
    PassphraseMissing,
    PassphraseWrong,
    PemMalformed,
    PemMissing,
    PemUnsupported,
)
from jwks_server.keys import openssh
from jwks_server.keys.chain import FoundKey, pair

_BOM = b"\xef\xbb\xbf"
_MARKER = re.compile(rb"-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]{0,60})-----")
_DASHES = b"-----"
# id-RSASSA-PSS (RFC 4055) as DER; in a key's own encoding it stands within the first bytes.
_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")
_ALGORITHM_BYTES = 32

# Everything that cryptography raises for bytes that are not a key; InternalError comes from OpenSSL itself.
_LOAD_ERRORS = (ValueError, TypeError, NotImplementedError, OverflowError, InternalError, x509.InvalidVersion)

PUBLIC = frozenset({"PUBLIC KEY", "RSA PUBLIC KEY"})
PRIVATE = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"})
OPENSSH = "OPENSSH PRIVATE KEY"
CERTIFICATE = "CERTIFICATE"


@dataclass(frozen=True, slots=True)
class _Block:
    label: str
    lines: tuple[bytes, ...] = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The block by itself, as the loaders expect it."""
        begin, end = (f"-----{word} {self.label}-----".encode() for word in ("BEGIN", "END"))
        return b"\n".join((begin, *self.lines, end, b""))

    @property
    def der(self) -> bytes:
        """The contents, as far as they are base64."""
        try:
            return base64.b64decode(b"".join(line for line in self.lines if b":" not in line))
        except ValueError:
            return b""

    @property
    def encrypted(self) -> bool:
        return self.label == "ENCRYPTED PRIVATE KEY" or any(
            line.startswith(b"Proc-Type:") and b"ENCRYPTED" in line for line in self.lines
        )


def parse(data: bytes, passphrase: bytes | None = None) -> tuple[FoundKey, ...]:
    """Take the public keys out of a PEM file.

    Of a private key only the public half is kept. The issuers of a chain are never keys of their own.

    Args:
        data: The file's bytes. Text around blocks, CRLF and a UTF-8 byte order mark are accepted.
        passphrase: What opens encrypted private keys; the public half of an OpenSSH key is not encrypted.

    Returns:
        At least one key, in the file's order, each once.

    Raises:
        KeyFileError: The file as a whole is refused; the subclass says why.
    """
    keys: list[PublicKeyTypes] = []
    private: list[PublicKeyTypes] = []
    certificates: list[x509.Certificate] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # deprecated keys are refused by their kind
        for block in _without_ec_parameters(_blocks(data)):
            if block.label == CERTIFICATE:
                certificates.append(_certificate(block))
                continue
            key = _public_key(block, passphrase)
            if key not in keys:
                keys.append(key)
            if block.label not in PUBLIC:
                private.append(key)
    if not keys and not certificates:
        raise PemMissing(_nothing_found(data))
    found = pair(keys, list(dict.fromkeys(certificates)))
    return tuple(FoundKey(one.key, one.chain, private=one.key in private) for one in found)


def _nothing_found(data: bytes) -> str:
    if not data.strip():
        return "The file is empty; write the key as PEM, or remove the file."
    if data.startswith(b"\x30"):
        return "The file looks like DER; convert it to PEM (openssl pkey -inform DER, openssl x509 -inform DER)."
    return "No line reads -----BEGIN ...-----; write the key as PEM, with its line breaks."


def _blocks(data: bytes) -> Iterator[_Block]:
    """Cut the file at its BEGIN and END lines; text outside of blocks is skipped (RFC 7468 section 2)."""
    label: bytes | None = None
    lines: list[bytes] = []
    separated = data.replace(_DASHES + b"-----BEGIN", _DASHES + b"\n-----BEGIN")  # cat of files without a last newline
    for number, raw in enumerate(separated.splitlines(), start=1):
        line = raw.strip().removeprefix(_BOM)
        marker = _MARKER.fullmatch(line)
        if marker is None:
            if label is not None and _DASHES not in line:
                lines.append(line)
            elif label is not None:
                raise PemMalformed(f"Line {number} is neither a BEGIN or END line nor base64; write the file again.")
        elif marker[1] == b"BEGIN" and label is None:
            label, lines = marker[2], []
        elif marker[1] == b"END" and label is not None and label == marker[2]:
            yield _Block(label.decode("ascii"), tuple(lines))
            label = None
        else:
            raise PemMalformed(f"Line {number} does not pair a BEGIN line with its END line; write the file again.")
    if label is not None:
        raise PemMalformed(
            f"The block {label.decode('ascii')} has no END line; the file is cut short, or still being written."
        )


def _without_ec_parameters(blocks: Iterable[_Block]) -> Iterator[_Block]:
    """Drop the EC PARAMETERS that ``openssl ecparam -genkey`` puts before its key, which names the curve too."""
    for block, following in itertools.pairwise(itertools.chain(blocks, [None])):
        if block is None:
            continue
        if block.label == "EC PARAMETERS" and following is not None and following.label == "EC PRIVATE KEY":
            continue
        yield block


def _public_key(block: _Block, passphrase: bytes | None) -> PublicKeyTypes:
    if block.label not in PUBLIC | PRIVATE | {OPENSSH}:
        raise PemUnsupported(
            f"A block {block.label} holds nothing that can be published; remove it, or keep it out of the pattern."
        )
    if block.encrypted and passphrase is None:
        raise PassphraseMissing("The private key is encrypted; name its passphrase with --passphrase-file.")
    if _RSASSA_PSS in block.der[:_ALGORITHM_BYTES]:
        raise _bound_to_pss()
    try:
        if block.label in PUBLIC:
            return load_pem_public_key(block.pem)
        if block.label == OPENSSH:
            # An encrypted OpenSSH file holds its public half in clear: there is nothing to decrypt.
            if (public := openssh.public_half_of_encrypted(block.lines)) is not None:
                return public
            private: PrivateKeyTypes = load_ssh_private_key(block.pem, None, unsafe_skip_rsa_key_validation=True)
        else:
            private = load_pem_private_key(
                block.pem, passphrase if block.encrypted else None, unsafe_skip_rsa_key_validation=True
            )
    except UnsupportedAlgorithm as exc:
        raise KindUnsupported(
            f"The block {block.label} has a key or a cipher of an unknown kind; use RSA, EC or Ed25519, and AES."
        ) from exc
    except _LOAD_ERRORS as exc:
        if block.encrypted:
            raise PassphraseWrong(
                "The passphrase does not open the private key, or its cipher is unknown; check both."
            ) from exc
        raise KeyMalformed(f"The block {block.label} can't be decoded; write the file again.") from exc
    _check_rsa(private)
    return private.public_key()


def _bound_to_pss() -> KindUnsupported:
    return KindUnsupported(
        "An RSASSA-PSS key is bound to parameters that a JWK can't express; "
        "use a plain RSA key, with --rsa-alg PS256 if it signs that way."
    )


def _check_rsa(private: PrivateKeyTypes) -> None:
    """Check p * q == n, since the loaders' own validation holds the GIL for up to 300 ms and is off."""
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.private_numbers()
        if min(numbers.p, numbers.q) <= 1 or numbers.p * numbers.q != numbers.public_numbers.n:
            raise KeyInconsistent("The RSA key's primes do not make up its modulus; generate a new key.")


def _certificate(block: _Block) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block.pem)
        certificate.public_key()
        if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
            raise _bound_to_pss()
    except UnsupportedAlgorithm as exc:
        raise KindUnsupported("A certificate holds a key of an unknown kind; use RSA, EC or Ed25519.") from exc
    except _LOAD_ERRORS as exc:
        raise KeyMalformed("A certificate can't be decoded; write the file again.") from exc
    return certificate
