"""Encrypted OpenSSH private keys: the public half stands in clear."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support import PASSPHRASE, key

from jwks_server.errors import KeyFileError
from jwks_server.keys.pem import parse


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], tuple[bytes, bytes]]:
    """Write a private key as OpenSSH does, plain and encrypted."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("this machine has no ssh-keygen")

    def written(kind: str) -> tuple[bytes, bytes]:
        path = tmp_path / kind
        plain: bytes = key(kind).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        path.write_bytes(plain)
        path.chmod(0o600)
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSPHRASE.decode(), "-f", path], check=True)
        return plain, path.read_bytes()

    return written


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "Ed25519"])
def test_encrypted_key_needs_no_passphrase(write: Callable[[str], tuple[bytes, bytes]], kind: str) -> None:
    """The public half of an encrypted key is read without its passphrase, and is that of the plain one."""
    plain, encrypted = write(kind)
    assert plain != encrypted
    assert parse(encrypted)[0].key == parse(plain)[0].key == key(kind).public_key()


def test_key_that_is_cut_short(write: Callable[[str], tuple[bytes, bytes]]) -> None:
    """Wherever an encrypted key is cut, it is refused with a code, or its public half came whole."""
    _, data = write("Ed25519")
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
