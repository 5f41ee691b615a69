"""An RSA private key whose primes are none."""

import base64

import pytest
from support import key

from jwks_server.errors import KeyInconsistent
from jwks_server.keys.pem import parse


def der(tag: int, content: bytes) -> bytes:
    """Write a value as DER."""
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = octets if size < 0x80 else bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + length + content


def rsa_pem(*integers: int) -> bytes:
    """Write an RSA private key of these integers (RFC 8017 appendix A.1.2)."""
    body = b"".join(der(2, one.to_bytes(one.bit_length() // 8 + 1, "big")) for one in (0, *integers))
    lines = base64.encodebytes(der(0x30, body))
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + lines + b"-----END RSA PRIVATE KEY-----\n"


@pytest.mark.parametrize("first", [True, False])
def test_one_is_no_prime(first: bool) -> None:
    """A key whose modulus is its own prime times one is refused: everyone can compute its private half."""
    numbers = key("RSA").private_numbers()
    modulus, exponent = numbers.public_numbers.n, numbers.public_numbers.e
    primes = (1, modulus) if first else (modulus, 1)
    with pytest.raises(KeyInconsistent):
        parse(rsa_pem(modulus, exponent, numbers.d, *primes, numbers.d, numbers.d, 1))


def test_good_primes() -> None:
    """The same key with its own primes is read."""
    numbers = key("RSA").private_numbers()
    public = numbers.public_numbers
    good = (public.n, public.e, numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
    assert parse(rsa_pem(*good))[0].key == key("RSA").public_key()
