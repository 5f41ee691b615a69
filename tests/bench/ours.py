"""Our server in a process of its own, for a benchmark, and what a benchmark asks of it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PATH = "/.well-known/jwks.json"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu(self) -> float:
        """Read the CPU seconds that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss(self) -> float:
        """Read the server's resident memory in MiB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


S = TypeVar("S", bound=Server)


@contextmanager
def serving(
    directory: Path,
    *options: str,
    program: Sequence[str] = (sys.executable, "-m", "jwks_server"),
    code: Path | None = None,
    kind: type[S],
) -> Iterator[S]:
    """Run the server with its defaults.

    Args:
        directory: Where the keys are.
        options: What is not a default.
        program: The first part of the command line.
        code: Where another version of the package is; None for this one.
        kind: What to make of it.
    """
    command = (*program, "serve", str(directory), "--bind", "127.0.0.1:0", "--admin-bind", "off", *options)
    process = subprocess.Popen(
        [*command, "--log-format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **({"PYTHONPATH": str(code)} if code else {})},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            entry = json.loads(line)
            if entry["event"] == "listening":
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield kind(process, int(entry["address"].rpartition(":")[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Write a key's public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def replace(path: Path, content: bytes) -> float:
    """Replace a file by a rename; return the time."""
    draft = path.with_name("draft")
    draft.write_bytes(content)
    moment = time.perf_counter()
    draft.rename(path)
    return moment


def ask(connection: http.client.HTTPConnection, method: str = "GET", path: str = PATH) -> tuple[str, bytes]:
    """Send one request; return the ETag and the body."""
    connection.request(method, path)
    reply = connection.getresponse()
    return reply.headers["ETag"] or "", reply.read()
