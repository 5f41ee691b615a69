"""What a key set is: its bytes."""

import hashlib
import json

import pytest
from support import PASSPHRASE, build, key, private_pem, public_pem, unb64

from jwks_server import errors
from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy

FILES = [read_file(f"{number}.pem", public_pem(key("P-256", number)), None) for number in range(2)]


def test_digest_is_that_of_the_body() -> None:
    """The digest that replicas are compared by is the SHA-256 of exactly the bytes that are served."""
    keyset = build(FILES, Policy())
    assert unb64(keyset.digest) == hashlib.sha256(keyset.body).digest()
    assert len(json.loads(keyset.body)["keys"]) == 2
    assert build([], Policy()).body == b'{"keys":[]}'


def test_file_that_is_no_key() -> None:
    """Whatever is wrong with a file's bytes is the file's error, and it gives no key."""
    file = read_file("a.pem", b"no key", None)
    assert (file.good, file.keys) == (False, ())
    assert isinstance(file.error, errors.PemMissing)


@pytest.mark.parametrize(("passphrase", "error"), [(None, errors.PassphraseMissing), (b"x", errors.PassphraseWrong)])
def test_passphrase(passphrase: bytes | None, error: type[errors.KeyFileError]) -> None:
    """An encrypted key is read with its passphrase, and with no other."""
    data = private_pem(key("P-256"), encrypted=True)
    assert read_file("a.pem", data, PASSPHRASE).keys[0].private
    assert isinstance(read_file("a.pem", data, passphrase).error, error)
