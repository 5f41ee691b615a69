"""Encrypted OpenSSH private keys: the public half stands in clear."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from support import PASSPHRASE, key

from jwks_server.errors import KeyFileError
from jwks_server.keys.pem import parse


def openssh(kind: str, *, encrypted: bool) -> bytes:
    """Write a private key as OpenSSH does."""
    encryption = BestAvailableEncryption(PASSPHRASE) if encrypted else NoEncryption()
    pem: bytes = key(kind).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption)
    return pem


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_encrypted_key_needs_no_passphrase(kind: str) -> None:
    """The public half of an encrypted key is read without its passphrase, and is that of the plain one."""
    (encrypted,) = parse(openssh(kind, encrypted=True))
    (plain,) = parse(openssh(kind, encrypted=False))
    assert encrypted.key == plain.key == key(kind).public_key()


def test_key_that_is_cut_short() -> None:
    """Wherever an encrypted key is cut, it is refused with a code, or its public half came whole."""
    data = openssh("Ed25519", encrypted=True)
    blob = base64.b64decode(b"".join(data.splitlines()[1:-1]))
    refused = 0
    for size in range(len(blob)):
        lines = base64.encodebytes(blob[:size])
        pem = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + lines + b"-----END OPENSSH PRIVATE KEY-----\n"
        try:
            assert parse(pem)[0].key == key("Ed25519").public_key()
        except KeyFileError:
            refused += 1
    assert refused > 100
