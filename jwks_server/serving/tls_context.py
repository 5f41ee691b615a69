"""A certificate chain and its key -> a TLS context."""

import binascii
import os
import re
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jwks_server.errors import TlsInvalid
from jwks_server.serving.client_hello import SPOKEN
from jwks_server.text import reason

# TLS 1.2 has CBC suites too, and suites without forward secrecy.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_MAX_BYTES = 1024 * 1024
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
# In DER: the object identifiers of rsaEncryption and id-ecPublicKey, and the whole beginning of an Edwards curve's key.
_KINDS = {
    "RSA": b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
    "EC": b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",
    "Ed25519": b"\x06\x03\x2b\x65\x70\x03\x21\x00",
    "Ed448": b"\x06\x03\x2b\x65\x71\x03\x3a\x00",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """The contents of two files.

    Attributes:
        names: The files' names.
        chain: The certificate chain.
        key: The private key.
    """

    names: tuple[str, str]
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @property
    def kind(self) -> str | None:
        """The kind of key that is certified; None where that can't be told for sure."""
        found = _CERTIFICATE.search(self.chain)
        try:
            der = binascii.a2b_base64(found[1]) if found else b""
        except binascii.Error:
            return None
        kinds = [kind for kind, mark in _KINDS.items() if mark in der]
        return kinds[0] if len(kinds) == 1 else None


def read(names: tuple[str, str]) -> Pair:
    """Read a chain's and a key's file.

    Raises:
        TlsInvalid: One can't be read.
    """
    try:
        return Pair(names, *[_contents(name) for name in names])
    except OSError as exc:
        raise _invalid(names, reason(exc)) from exc


def _contents(name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise TlsInvalid(f"{name} is not a regular file; name the file itself.")
        contents = b""
        while data := os.read(descriptor, _MAX_BYTES + 1 - len(contents)):
            contents += data
    finally:
        os.close(descriptor)
    if len(contents) > _MAX_BYTES:
        raise TlsInvalid(f"{name} has more than {_MAX_BYTES} bytes; name a PEM file.")
    return contents


def new_context(pair: Pair) -> ssl.SSLContext:
    """Make a context that shows a chain.

    Raises:
        TlsInvalid: They are not a chain and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(list(SPOKEN))
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A client of this server needs one connection, and gets another ticket with each that it resumes.
    context.num_tickets = 1
    load(context, pair)
    return context


def load(context: ssl.SSLContext, pair: Pair) -> None:
    """Make a context show a chain from now on; the disk is not touched.

    Raises:
        TlsInvalid: They are not a chain and its key.
    """
    try:
        with _as_files(pair) as (chain, key):
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(chain, key, password=b"")
    except (OSError, ValueError) as exc:
        # OpenSSL's error numbers are not the system's.
        why = reason(exc) if isinstance(exc, OSError) else str(exc)
        raise _invalid(pair.names, why) from exc


def _invalid(names: tuple[str, str], why: str) -> TlsInvalid:
    return TlsInvalid(f"{names[0]} and {names[1]} are not a certificate chain and its key ({why}); replace them.")


@contextmanager
def _as_files(pair: Pair) -> Iterator[tuple[str, str]]:
    """Pass files in memory to OpenSSL, which reads only files; if the system has none, pass the files themselves."""
    if not hasattr(os, "memfd_create") or not os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - no pathlib in serving
        yield pair.names
        return
    descriptors = [os.memfd_create("tls", os.MFD_CLOEXEC) for _ in range(2)]
    try:
        for descriptor, contents in zip(descriptors, (pair.chain, pair.key), strict=True):
            os.write(descriptor, contents)
        yield f"/proc/self/fd/{descriptors[0]}", f"/proc/self/fd/{descriptors[1]}"
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
