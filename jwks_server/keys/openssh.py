"""The clear-text half of an encrypted OpenSSH private key (OpenSSH's PROTOCOL.key)."""

import base64
from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

_MAGIC = b"openssh-key-v1\0"


def public_half_of_encrypted(lines: Iterable[bytes]) -> PublicKeyTypes | None:
    """Take the public key that stands unencrypted before the encrypted private one.

    Args:
        lines: The base64 lines between BEGIN and END.

    Returns:
        The public key, or None where the private key isn't encrypted.

    Raises:
        ValueError: The contents are not an OpenSSH private key.
        UnsupportedAlgorithm: The key is a FIDO key, or of a kind that cryptography can't read.
    """
    blob = base64.b64decode(b"".join(lines), validate=True)
    if not blob.startswith(_MAGIC):
        raise ValueError("the OpenSSH magic is missing")
    cipher, rest = _string(blob[len(_MAGIC) :])
    if cipher == b"none":
        return None
    _kdf, rest = _string(rest)
    _kdf_options, rest = _string(rest)
    public, _private = _string(rest[4:])  # the count of keys, always 1, stands before it
    key_type, _ = _string(public)
    if key_type.startswith(b"sk-"):
        raise UnsupportedAlgorithm("a FIDO key signs more than the bytes that it is given")
    return load_ssh_public_key(key_type + b" " + base64.b64encode(public))


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Split off a string of RFC 4251 section 5: its length in four bytes, then its bytes."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise ValueError("the OpenSSH key is cut short")
    return data[4 : 4 + size], data[4 + size :]
