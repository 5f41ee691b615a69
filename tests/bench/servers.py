"""The servers that are compared, each pinned to the first core."""

import gzip
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import certificate_pem, certify, private_pem

HERE = Path(__file__).parent
PATH = "/.well-known/jwks.json"
NEEDED = {"nginx": "nginx", "wrk": "wrk", "go": "golang-go", "gcc": "gcc", "openssl": "openssl"}
# nginx with sendfile off, which is faster for so small a file, and as Debian configures it.
NAMES = ("ours", "nginx", "nginx-sendfile", "go", "aiohttp", "floor")
# The benchmark makes the servers' certificate itself.
TRUSTING = ssl.create_default_context()
TRUSTING.check_hostname = False
TRUSTING.verify_mode = ssl.CERT_NONE
_PATIENCE = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_OURS = (sys.executable, "-m", "jwks_server", "serve", "--admin-bind", "off")
_NGINX = """
worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; {sending} gzip_static on; server_tokens off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    open_file_cache max=10 inactive=1h;
    server {{
        listen {listen}; {tls} root {folder}/www; default_type application/json;
        add_header Cache-Control "public, max-age=300, stale-if-error=86400"; add_header Vary Accept-Encoding;
        add_header Access-Control-Allow-Origin *; add_header X-Content-Type-Options nosniff;
    }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        name: Which one.
        port: Where it listens.
        tls: Whether it speaks TLS.
        pids: The processes whose time counts.
    """

    name: str
    port: int
    tls: bool
    pids: tuple[int, ...]

    @property
    def url(self) -> str:
        """Return the URL of the JWK Set."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{PATH}"

    def cpu(self) -> float:
        """Read the CPU seconds that the server has used."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(one[11]) + int(one[12]) for one in fields) / _TICKS

    def rss(self) -> float:
        """Read the server's resident memory in MiB."""
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self.pids)
        return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def etag(self) -> str:
        """Fetch the current entity tag."""
        with urllib.request.urlopen(self.url, context=TRUSTING) as reply:  # noqa: S310 - our own server
            return str(reply.headers["ETag"])


class Field:
    """A folder with keys, and all files that the servers need."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.keys = folder / "keys"
        self.keys.mkdir()
        for number in range(2):
            self._write(f"{number}.pem", rsa.generate_private_key(65537, 2048))
        self._write("2.pem", ec.generate_private_key(ec.SECP256R1()))
        private = ec.generate_private_key(ec.SECP256R1())
        (folder / "tls.pem").write_bytes(certificate_pem(certify(private, name="localhost")))
        (folder / "tls.key").write_bytes(private_pem(private))
        self._tls = str(folder / "tls.pem"), str(folder / "tls.key")
        self.spare = [self._pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(20)]

    @staticmethod
    def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def _write(self, name: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        (self.keys / name).write_bytes(self._pem(key))

    def rotate(self, number: int) -> None:
        """Replace the third key."""
        draft = self.keys / "draft"
        draft.write_bytes(self.spare[number % len(self.spare)])
        draft.rename(self.keys / "2.pem")

    def prepare(self, server: Server) -> None:
        """Save our replies for the other servers, and build those servers."""
        with urllib.request.urlopen(server.url) as reply:  # noqa: S310 - our own server
            body = reply.read()
        well_known = self._folder / "www" / ".well-known"
        well_known.mkdir(parents=True)
        (well_known / "jwks.json").write_bytes(body)
        (well_known / "jwks.json.gz").write_bytes(gzip.compress(body, mtime=0))
        unchanged = b"If-None-Match: " + server.etag().encode() + b"\r\n"
        for name, field in (("200", b""), ("304", unchanged), ("close", b"Connection: close\r\n")):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n")
                time.sleep(0.2)
                (self._folder / name).write_bytes(connection.recv(1 << 16))
        subprocess.run(["gcc", "-O2", "-o", self._folder / "floor", HERE / "floor.c"], check=True)
        subprocess.run(["go", "build", "-o", self._folder / "peer", HERE / "peer.go"], check=True)

    def command(self, name: str, port: int, *, tls: bool) -> list[str]:
        """Return the command that starts a server."""
        pair = self._tls if tls else ()
        flags = ["--tls-cert", pair[0], "--tls-key", pair[1]] if pair else []
        body = str(self._folder / "www" / ".well-known" / "jwks.json")
        config = self._folder / f"{name}-{port}.conf"
        if name.startswith("nginx"):
            sending = "sendfile off;" if name == "nginx" else "sendfile on; tcp_nopush on;"
            listen = f"127.0.0.1:{port} {'ssl ' if pair else ''}backlog=4096"
            tls_files = (
                f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; ssl_protocols TLSv1.2 TLSv1.3;"
                if pair
                else ""
            )
            unique = f"{name}-{port}"
            config.write_text(
                _NGINX.format(folder=self._folder, name=unique, listen=listen, tls=tls_files, sending=sending)
            )
        return {
            "ours": [*_OURS, str(self.keys), "--bind", f"127.0.0.1:{port}", *flags],
            "nginx": ["nginx", "-c", str(config)],
            "nginx-sendfile": ["nginx", "-c", str(config)],
            "go": [str(self._folder / "peer"), f"127.0.0.1:{port}", body, body + ".gz", *pair],
            "aiohttp": [sys.executable, str(HERE / "plain.py"), str(port), body, body + ".gz", *pair],
            "floor": [str(self._folder / one) for one in ("floor", "200", "304", "close")] + [str(port)],
        }[name]


@contextmanager
def field() -> Iterator[Field]:
    """Make the folder; it is removed when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # nginx's worker is another user
        yield Field(Path(folder))


@contextmanager
def running(where: Field, name: str, *, tls: bool = False, pause: float = 0.1) -> Iterator[Server]:
    """Run a server on the first core until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["taskset", "-c", "0", *where.command(name, port, tls=tls)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GOMAXPROCS": "1"},
    )
    try:
        _wait(f"{'https' if tls else 'http'}://127.0.0.1:{port}{PATH}", pause)
        pids = [process.pid]
        if name.startswith("nginx"):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            pids = [int(child) for child in children]
        yield Server(name, port, tls, tuple(pids))
    finally:
        process.terminate()
        process.wait(15)


def start(where: Field, name: str) -> tuple[float, float, float]:
    """Start a server once.

    Returns:
        The seconds until its first answer, the CPU seconds of these, and its memory in MiB after that.
    """
    began = time.perf_counter()
    with running(where, name, pause=0.005) as server:
        first, used = time.perf_counter() - began, server.cpu()
        time.sleep(1)
        return first, used, server.rss()


def _wait(url: str, pause: float) -> None:
    for _ in range(int(_PATIENCE / pause)):
        try:
            urllib.request.urlopen(url, context=TRUSTING).read()  # noqa: S310 - our own server
        except (OSError, urllib.error.URLError):
            time.sleep(pause)
        else:
            return
    raise TimeoutError("the server did not begin to answer")


def missing() -> list[str]:
    """List the Debian packages that are not installed."""
    return [package for tool, package in NEEDED.items() if not shutil.which(tool)]
