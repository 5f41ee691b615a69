"""Keys, certificates and a running server for the tests."""

import asyncio
import base64
import functools
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from jwcrypto.jwk import JWK

from jwks_server.keys.evaluate import evaluate
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.keyset import KeyFile, KeySet, read_file
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import Policy
from jwks_server.keys.policy_text import PolicyText

ROOT = Path(__file__).parent.parent
# The console script beside this interpreter, whatever PATH says.
SCRIPT = str(Path(sys.executable).with_name("jwks-server"))
# Long enough for a busy machine: only a test that fails waits so long.
HANG_SECONDS = 60
PASSPHRASE = b"correct horse"

_GENERATORS: dict[str, Callable[[], Any]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
    "X448": x448.X448PrivateKey.generate,
    "DSA": lambda: dsa.generate_private_key(2048),
    "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - to see it refused
    "brainpoolP256r1": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
}
DEFAULT_KINDS = ("RSA", "P-256", "P-384", "P-521", "Ed25519")
OPTIONAL_KINDS = ("Ed448", "secp256k1", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87")
PUBLISHABLE_KINDS = DEFAULT_KINDS + OPTIONAL_KINDS


@functools.cache
def key(kind: str, number: int = 0) -> Any:
    """Generate a private key, once a run for each kind and number."""
    del number
    return _GENERATORS[kind]()


def private_pem(private: Any, *, encrypted: bool = False, traditional: bool = False) -> bytes:
    """Write a private key as PKCS#8, or in the traditional format."""
    encryption = BestAvailableEncryption(PASSPHRASE) if encrypted else NoEncryption()
    style = PrivateFormat.TraditionalOpenSSL if traditional else PrivateFormat.PKCS8
    pem: bytes = private.private_bytes(Encoding.PEM, style, encryption)
    return pem


def public_pem(private: Any) -> bytes:
    """Write a key's public half."""
    pem: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def private_jwk(private: Any, **more: object) -> dict[str, Any]:
    """Write a private key as a JWK, as jwcrypto does; further members are as given."""
    members: dict[str, Any] = JWK.from_pyca(private).export(as_dict=True)
    return {name: value for name, value in members.items() if name != "kid"} | more


def public_jwk(private: Any, **more: object) -> dict[str, Any]:
    """Write a key's public half as a JWK."""
    members: dict[str, Any] = JWK.from_pyca(private).export_public(as_dict=True)
    return {name: value for name, value in members.items() if name != "kid"} | more


def thumbprint(private: Any) -> str:
    """Name the kid that a key has by default."""
    return read_file("x", public_pem(private), None).keys[0].thumbprint


def certify(
    private: Any,
    issuer: tuple[x509.Certificate, Any] | None = None,
    *,
    name: str = "leaf",
    ca: bool = False,
    dns: str | None = None,
    days: tuple[float, float] = (-1, 90),
) -> x509.Certificate:
    """Certify a key, by itself or by an issuer; it is valid from a day to another one, counted from now."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer[1] if issuer else private
    now = datetime.now(UTC)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    return builder.sign(signer, digest)


def certificate_pem(*certificates: x509.Certificate) -> bytes:
    """Write certificates one after the other."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def unb64(text: str) -> bytes:
    """Read base64url without padding, and insist that there is none."""
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def run(*arguments: str | Path, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the console script to its end; whatever it is given, it shows no traceback."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=HANG_SECONDS,
        env={**os.environ, **environment},
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A server in a process of its own."""

    tls: ssl.SSLContext | None = None

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.logs: list[dict[str, Any]] = []
        self.stderr = b""
        self.port = 0
        self.admin = 0
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Read the log as it comes, so that the server never waits for its reader."""
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self._lines.put_nowait(line)
        self._lines.put_nowait(b"")

    @property
    def url(self) -> str:
        """Where the JWK Set is."""
        return f"http://127.0.0.1:{self.port}/.well-known/jwks.json"

    async def log(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for a log line to come with this event and these fields."""
        async with asyncio.timeout(HANG_SECONDS):
            while entry := await self._next():
                if entry["event"] == event and fields.items() <= entry.items():
                    return entry
        raise AssertionError(f"the server ended without logging {event} {fields}: {self.stderr.decode()}")

    async def _next(self) -> dict[str, Any] | None:
        line = await self._lines.get()
        if not line:
            return None
        self.stderr += line
        entry: dict[str, Any] = json.loads(line)
        self.logs.append(entry)
        return entry

    async def end(self) -> int:
        """Wait for the process to end, and take in what it still had to say."""
        async with asyncio.timeout(HANG_SECONDS):
            await self._reading
            while not self._lines.empty():
                await self._next()
            return await self.process.wait()


@asynccontextmanager
async def serving(
    directory: Path | str, *flags: str, through: Sequence[str] = (), pass_fds: Sequence[int] = (), **environment: str
) -> AsyncIterator[Running]:
    """Run ``jwks-server serve`` on a free port, through another command if one is given; end it if the test hasn't."""
    process = await asyncio.create_subprocess_exec(
        *through,
        sys.executable,
        *(
            "-m",
            "jwks_server",
            "serve",
            str(directory),
            "--bind",
            "127.0.0.1:0",
            "--admin-bind",
            "127.0.0.1:0",
            "--log-format",
            "json",
            *flags,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        pass_fds=pass_fds,
    )
    running = Running(process)
    try:
        running.admin = int((await running.log("listening", listener="admin"))["address"].rpartition(":")[2])
        running.port = int((await running.log("listening", listener="public"))["address"].rpartition(":")[2])
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await running.end()


def tls_flags(folder: Path) -> tuple[str, ...]:
    """Make a certificate and its key in a new folder, and return the flags that serve with them."""
    folder.mkdir()
    private = key("P-256")
    (folder / "tls.pem").write_bytes(certificate_pem(certify(private, name="localhost")))
    (folder / "tls.key").write_bytes(private_pem(private))
    return "--tls-cert", str(folder / "tls.pem"), "--tls-key", str(folder / "tls.key")


def trusting() -> ssl.SSLContext:
    """Trust any certificate: a test looks at it itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def raw(port: int, *writes: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Send bytes, each write in a packet of its own, and read all that comes back until the server closes."""
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        reply = b""
        with suppress(ConnectionError):
            for data in writes:
                writer.write(data)
                await asyncio.sleep(0)
            while data := await reader.read(1 << 16):
                reply += data
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return reply


def sign(
    private: Any,
    alg: str,
    kid: str,
    claims: Mapping[str, object] = MappingProxyType({"sub": "somebody"}),
    typ: str = "JWT",
) -> str:
    """Sign a JWT with cryptography alone (RFC 7515 section 5.1)."""
    parts = ({"alg": alg, "kid": kid, "typ": typ}, dict(claims))
    signing_input = b".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in parts)
    digest: hashes.HashAlgorithm = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(
        alg.rstrip("K")[-3:], hashes.SHA256()
    )
    match private:
        case rsa.RSAPrivateKey() if alg.startswith("PS"):
            salted = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            signature = private.sign(signing_input, salted, digest)
        case rsa.RSAPrivateKey():
            signature = private.sign(signing_input, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePrivateKey():
            size = (private.key_size + 7) // 8
            r, s = decode_dss_signature(private.sign(signing_input, ec.ECDSA(digest)))
            signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        case _:
            signature = private.sign(signing_input)
    return (signing_input + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def evaluated(
    files: Iterable[KeyFile],
    policy: Policy,
    previous: Evaluation | KeySet | None = None,
    now: float = 0,
) -> Evaluation:
    """Evaluate files that are there as a whole; the policy is given as it is, as if ``jwks.toml`` were empty."""
    before = previous if isinstance(previous, Evaluation) else Evaluation(previous, serves=previous is not None)
    before = replace(before, policy_text=PolicyText(policy, text=b""), build_at=now)
    seen = Observation({file.name: file for file in files}, None, whole=True)
    return evaluate(seen, before, now, Rules(policy), place="keys", alone=True)


def build(
    files: Iterable[KeyFile],
    policy: Policy,
    previous: Evaluation | KeySet | None = None,
    now: float = 0,
) -> KeySet:
    """As ``evaluated``; give the key set."""
    keyset = evaluated(files, policy, previous, now).keyset
    assert keyset is not None
    return keyset
