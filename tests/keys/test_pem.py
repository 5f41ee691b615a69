"""PEM bytes -> public keys."""

import base64
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from support import (
    PASSPHRASE,
    PUBLISHABLE_KINDS,
    certificate_pem,
    certify,
    key,
    private_pem,
    public_pem,
)

from jwks_server import errors
from jwks_server.keys.jwk import public_key
from jwks_server.keys.pem import parse

LABELS = ["PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "EC PARAMETERS", "CERTIFICATE"]
LABELS += ["ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "RSA PUBLIC KEY", "X509 CRL", "DSA PRIVATE KEY"]


def only(data: bytes, passphrase: bytes | None = None) -> object:
    """Parse a file that holds exactly one key."""
    (found,) = parse(data, passphrase)
    return found.key


@pytest.mark.parametrize("kind", PUBLISHABLE_KINDS)
def test_private_and_public_files_give_the_same_key(kind: str) -> None:
    """A key's PKCS#8 file and its public file are the same key."""
    assert only(private_pem(key(kind))) == only(public_pem(key(kind))) == key(kind).public_key()


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "P-521", "secp256k1"])
def test_traditional_formats(kind: str) -> None:
    """RSA PRIVATE KEY and EC PRIVATE KEY load, in clear and with Proc-Type: 4,ENCRYPTED."""
    private = key(kind)
    assert only(private_pem(private, traditional=True)) == private.public_key()
    encrypted = private_pem(private, traditional=True, encrypted=True)
    assert b"Proc-Type: 4,ENCRYPTED" in encrypted
    assert only(encrypted, PASSPHRASE) == private.public_key()


def test_rsa_public_key() -> None:
    """PKCS#1's RSA PUBLIC KEY loads."""
    pem = key("RSA").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert only(pem) == key("RSA").public_key()


@pytest.mark.parametrize("kind", ["RSA", "P-256", "Ed25519"])
def test_openssh(kind: str) -> None:
    """OPENSSH PRIVATE KEY loads."""
    private = key(kind)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    assert only(pem) == private.public_key()


def test_encrypted_pkcs8() -> None:
    """ENCRYPTED PRIVATE KEY opens with its passphrase, and says what is wrong without."""
    pem = private_pem(key("P-256"), encrypted=True)
    assert only(pem, PASSPHRASE) == key("P-256").public_key()
    with pytest.raises(errors.PassphraseMissing):
        parse(pem)
    with pytest.raises(errors.PassphraseWrong):
        parse(pem, b"wrong")


def test_passphrase_does_not_disturb_clear_keys() -> None:
    """A passphrase is for the encrypted keys only."""
    assert only(private_pem(key("P-256")), PASSPHRASE) == key("P-256").public_key()


def test_text_crlf_and_byte_order_mark() -> None:
    """Text around blocks, CRLF, indentation and a UTF-8 byte order mark are accepted."""
    pem = public_pem(key("P-256"))
    messy = b"\xef\xbb\xbf" + b"Bag Attributes\n" + pem + b"trailing - text -----\n"
    assert only(messy) == only(messy.replace(b"\n", b"\r\n")) == only(pem)
    assert only(pem.replace(b"\n", b"\n    ")) == only(pem)
    assert only(b"\xef\xbb\xbf" + pem) == only(pem)


def test_several_independent_keys() -> None:
    """Several independent public keys are several keys, in the file's order."""
    found = parse(public_pem(key("RSA")) + public_pem(key("P-256")) + private_pem(key("Ed25519")))
    assert [one.key for one in found] == [key(kind).public_key() for kind in ("RSA", "P-256", "Ed25519")]


def test_key_and_its_public_half_are_one() -> None:
    """A private key beside its own public half is one key."""
    assert len(parse(private_pem(key("RSA")) + public_pem(key("RSA")))) == 1


def test_key_with_certificate() -> None:
    """A private key with its certificate is one key with a chain."""
    certificate = certify(key("P-256"))
    (found,) = parse(certificate_pem(certificate) + private_pem(key("P-256")))
    assert found.chain == (certificate,)


def test_inconsistent_rsa_key() -> None:
    """An RSA private key whose primes don't make up its modulus is refused."""
    private, other = key("RSA"), key("RSA", 1)
    der = private.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    n, wrong = (one.public_key().public_numbers().n.to_bytes(256, "big") for one in (private, other))
    assert der.count(n) == 1
    body = base64.encodebytes(der.replace(n, wrong))
    with pytest.raises(errors.KeyInconsistent):
        parse(b"-----BEGIN RSA PRIVATE KEY-----\n" + body + b"-----END RSA PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", errors.PemMissing),
        (b"\x00\xff\xfe", errors.PemMissing),
        (b"just a note", errors.PemMissing),
        (b"-----BEGIN PUBLIC KEY-----\\nMII\\n-----END PUBLIC KEY-----", errors.PemMissing),
        (b"-----BEGIN PUBLIC KEY-----\nMIIB", errors.PemMalformed),
        (b"MIIB\n-----END PUBLIC KEY-----\n", errors.PemMalformed),
        (b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", errors.PemMalformed),
        (b"-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n", errors.PemMalformed),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", errors.KeyMalformed),
        (b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", errors.KeyMalformed),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", errors.KeyMalformed),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", errors.KeyMalformed),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", errors.PemUnsupported),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", errors.PemUnsupported),
        (b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", errors.PemUnsupported),
        (b"-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n", errors.PemUnsupported),
    ],
)
def test_refusals(data: bytes, error: type[errors.KeyFileError]) -> None:
    """Each thing that is no key has its own error."""
    with pytest.raises(error):
        parse(data)


def test_der_is_recognized() -> None:
    """A DER file's error says how to convert it."""
    der = key("P-256").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(errors.PemMissing, match="-inform DER"):
        parse(der)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Any bytes give keys or a coded error."""
    with suppress(errors.KeyFileError):
        assert parse(data, PASSPHRASE)


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.binary(max_size=120)), min_size=1, max_size=3))
def test_any_block_contents(blocks: list[tuple[str, bytes]]) -> None:
    """Any bytes under any label give keys or a coded error."""
    data = b"".join(
        b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(body), label.encode())
        for label, body in blocks
    )
    with pytest.raises(errors.KeyFileError):
        parse(data, PASSPHRASE)


@given(st.sampled_from(PUBLISHABLE_KINDS), st.data())
def test_damaged_files(kind: str, data: st.DataObject) -> None:
    """A real file with a byte changed, or cut short, gives keys or a coded error."""
    pem = bytearray(data.draw(st.sampled_from([private_pem(key(kind)), public_pem(key(kind))])))
    at = data.draw(st.integers(0, len(pem) - 1))
    if data.draw(st.booleans()):
        pem[at] = data.draw(st.integers(0, 255))
    else:
        del pem[at:]
    with suppress(errors.KeyFileError):
        assert parse(bytes(pem), PASSPHRASE)


# Prefixes of DER keys of kinds whose wrong lengths OpenSSL refuses in its own way.
DER_PREFIXES = ["302e020100300506032b656f04220420", "302e020100300506032b657104220420", "302a300506032b656f032100"]


@given(st.sampled_from(DER_PREFIXES), st.binary(min_size=20, max_size=80), st.sampled_from(["PUBLIC", "PRIVATE"]))
def test_keys_of_a_wrong_length(prefix: str, rest: bytes, half: str) -> None:
    """X448 and Ed448 keys of any length are a coded error."""
    body = base64.encodebytes(bytes.fromhex(prefix) + rest)
    with pytest.raises(errors.KeyFileError):
        parse(b"-----BEGIN %b KEY-----\n%b-----END %b KEY-----\n" % (half.encode(), body, half.encode()))


@given(st.sampled_from([*PUBLISHABLE_KINDS, "X448", "DSA"]), st.booleans(), st.data())
def test_damaged_der(kind: str, encrypted: bool, data: st.DataObject) -> None:
    """A key whose DER was changed in a few places gives keys or a coded error."""
    pem = private_pem(key(kind), encrypted=encrypted).splitlines()
    der = bytearray(base64.b64decode(b"".join(pem[1:-1])))
    for _ in range(data.draw(st.integers(1, 3))):
        # The first bytes hold lengths, algorithms and the KDF's cost, which is left alone: it may be days.
        der[data.draw(st.integers(0, min(len(der) - 1, 40)))] = data.draw(st.integers(0, 255))
    with suppress(errors.KeyFileError):
        assert parse(b"\n".join((pem[0], base64.encodebytes(bytes(der)), pem[-1])), b"wrong" if encrypted else None)


def test_glued_blocks() -> None:
    """Files put together without a last newline lose no key; other text on a marker's line is an error."""
    one, two = public_pem(key("P-256")), public_pem(key("RSA"))
    assert len(parse(one.rstrip() + two)) == 2
    with pytest.raises(errors.PemMalformed):
        parse(one.replace(b"-----END", b"x-----END"))


def test_several_byte_order_marks() -> None:
    """Files put together keep their byte order marks, each at the start of a line."""
    assert len(parse(b"\xef\xbb\xbf" + public_pem(key("P-256")) + b"\xef\xbb\xbf" + public_pem(key("RSA")))) == 2


def test_long_label() -> None:
    """A label's length is bounded, since errors name it."""
    label = b"A" * 3000
    with pytest.raises(errors.PemMissing):
        parse(b"-----BEGIN %b-----\nAAAA\n-----END %b-----\n" % (label, label))


@pytest.mark.parametrize("exponent", [1, 2, 4])
def test_exponent_that_proves_nothing(exponent: int) -> None:
    """An RSA private key with an exponent of 1, or an even one, is refused."""
    numbers = key("RSA").private_numbers()
    parts = [0, numbers.public_numbers.n, exponent, 1, numbers.p, numbers.q, 1, 1, numbers.iqmp]
    body = b"".join(_integer(part) for part in parts)
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    with pytest.raises((errors.KeyInconsistent, errors.KeyMalformed)):
        public_key(
            parse(b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END RSA PRIVATE KEY-----\n")[
                0
            ]
        )


def _integer(value: int) -> bytes:
    """Write a DER INTEGER."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "big")
    length = bytes([len(data)]) if len(data) < 128 else b"\x82" + len(data).to_bytes(2, "big")
    return b"\x02" + length + data


OPENSSL = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
SSH_KEYGEN = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")


@OPENSSL
@pytest.mark.parametrize(
    "command",
    [
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {out}",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {out}",
        "genpkey -algorithm ED25519 -out {out}",
        "genpkey -algorithm ED448 -aes256 -pass pass:word -out {out}",
        "genrsa -out {out} 2048",
        "genrsa -traditional -out {out} 2048",
        "genrsa -traditional -aes128 -passout pass:word -out {out} 2048",
        "ecparam -name prime256v1 -genkey -out {out}",
        "ecparam -name secp384r1 -genkey -noout -out {out}",
    ],
)
def test_keys_made_by_openssl(command: str, tmp_path: Path) -> None:
    """A key that openssl wrote loads as the one that openssl reads from it."""
    out = tmp_path / "key.pem"
    openssl(command.format(out=out))
    (found,) = parse(out.read_bytes(), b"word")
    assert spki(found.key) == openssl(f"pkey -pubout -in {out} -passin pass:word")


@OPENSSL
@pytest.mark.parametrize("algorithm", ["rsa:2048", "ed25519"])
def test_certificates_made_by_openssl(algorithm: str, tmp_path: Path) -> None:
    """A self-signed certificate, marked as CA as openssl does, is a key of its own."""
    out = tmp_path / "crt.pem"
    openssl(f"req -x509 -newkey {algorithm} -nodes -subj /CN=test -keyout {tmp_path}/key.pem -out {out}")
    (found,) = parse(out.read_bytes())
    assert len(found.chain) == 1
    assert spki(found.key) == openssl(f"x509 -noout -pubkey -in {out}")


@OPENSSL
def test_pkcs8_encrypted_by_openssl(tmp_path: Path) -> None:
    """``openssl pkcs8 -topk8`` with a passphrase loads."""
    clear, encrypted = tmp_path / "clear.pem", tmp_path / "encrypted.pem"
    clear.write_bytes(private_pem(key("RSA"), traditional=True))
    openssl(f"pkcs8 -topk8 -in {clear} -out {encrypted} -passout pass:word")
    assert b"ENCRYPTED PRIVATE KEY" in encrypted.read_bytes()
    assert only(encrypted.read_bytes(), b"word") == key("RSA").public_key()


@OPENSSL
def test_rsassa_pss_is_refused(tmp_path: Path) -> None:
    """A key bound to PSS parameters can't sign what a JWK would say of it: private, public or certified."""
    out, public, certificate = (tmp_path / name for name in ("key.pem", "pub.pem", "crt.pem"))
    openssl(f"genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out {out}")
    openssl(f"pkey -in {out} -pubout -out {public}")
    openssl(f"req -x509 -key {out} -subj /CN=x -out {certificate}")
    for path in (out, public, certificate):
        with pytest.raises(errors.KindUnsupported, match="PS256"):
            parse(path.read_bytes())


@OPENSSL
@pytest.mark.parametrize(("flags", "names"), [("-sha1", "/CN=ca"), ("", "/CN=ca")])
def test_chain_signed_with_an_old_digest(flags: str, names: str, tmp_path: Path) -> None:
    """The issuer is no key of its own though its signature is too old to be verified."""
    ca, ca_key, leaf, leaf_key, request = (tmp_path / name for name in ("ca", "ca.key", "leaf", "leaf.key", "csr"))
    openssl(f"req -x509 -newkey rsa:2048 -nodes -keyout {ca_key} -out {ca} -subj {names} {flags}")
    openssl(f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {leaf_key} -out {request} -subj /CN=leaf")
    openssl(f"x509 -req -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial {flags} -out {leaf}")
    for before in (b"", leaf_key.read_bytes()):
        (found,) = parse(before + leaf.read_bytes() + ca.read_bytes())
        assert len(found.chain) == 2


@SSH_KEYGEN
@pytest.mark.parametrize("word", ["", "a passphrase"])
@pytest.mark.parametrize("flags", ["-t rsa -b 2048", "-t ecdsa -b 384", "-t ed25519"])
def test_files_made_by_ssh_keygen(flags: str, word: str, tmp_path: Path) -> None:
    """What ssh-keygen writes loads, an encrypted file too: its public half is in clear."""
    out = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", *flags.split(), "-N", word, "-C", "", "-f", str(out)], check=True)
    (found,) = parse(out.read_bytes())
    line = found.key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert line.split() == out.with_suffix(".pub").read_bytes().split()


def spki(public: Any) -> bytes:
    """Write a public key as openssl does."""
    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def openssl(command: str) -> bytes:
    """Run openssl and return what it prints."""
    return subprocess.run(["openssl", *command.split()], check=True, capture_output=True).stdout
