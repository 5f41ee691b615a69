"""Measures the latency of a rotation, the idle process, and 10,000 key files. Prints figures."""

import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ROTATIONS = 200
_IDLE_SECONDS = 10
_MANY = 10_000
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


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    """Run the server with its defaults."""
    command = (
        sys.executable,
        "-m",
        "jwks_server",
        "serve",
        str(directory),
        "--bind",
        "127.0.0.1:0",
        "--admin-bind",
        "off",
    )
    process = subprocess.Popen([*command, "--log-format", "json"], stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            entry = json.loads(line)
            if entry["event"] == "listening":
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Server(process, int(entry["address"].rpartition(":")[2]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


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


def milliseconds(seconds: list[float]) -> str:
    """Write a median, a 99th percentile and a maximum."""
    ranked = sorted(seconds)
    at_99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
    return f"p50 {statistics.median(ranked) * 1e3:.1f} ms, p99 {at_99 * 1e3:.1f} ms, max {ranked[-1] * 1e3:.1f} ms"


def rotations(directory: Path) -> None:
    """Rotate one of three keys and wait, each time, for the first answer that shows it."""
    pems = [pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(_ROTATIONS + 3)]
    for number in range(3):
        (directory / f"{number}.pem").write_bytes(pems[number])
    with serving(directory) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        last, _ = ask(connection)
        taken = []
        for content in pems[3:]:
            moment = replace(directory / "0.pem", content)
            while (etag := ask(connection)[0]) == last:
                pass
            taken.append(time.perf_counter() - moment)
            last = etag
            time.sleep(0.02)  # let the watch come to rest: each rotation is one by itself
        connection.close()
        print(f"rename -> first answer with the new key, {_ROTATIONS} rotations: {milliseconds(taken)}")
        print_idle(server, "")


def print_idle(server: Server, situation: str) -> None:
    """Print the server's CPU time and memory while nothing happens."""
    before = server.cpu()
    time.sleep(_IDLE_SECONDS)
    idle = (server.cpu() - before) / _IDLE_SECONDS
    print(f"idle{situation}: {idle:.2%} of one core, RSS {server.rss():.1f} MiB")


def many(directory: Path) -> None:
    """Load 10,000 keys, then one more, with a client that sends requests all the time."""
    for number in range(_MANY):
        key = ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        (directory / f"{number}.pem").write_bytes(pem(key))
    time.sleep(0.1)
    started = time.perf_counter()
    with serving(directory) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        last, body = ask(connection)
        count = len(json.loads(body)["keys"])
        loaded = time.perf_counter() - started
        print(f"{count} files: exec -> first answer {loaded:.2f} s, body {len(body) / 2**20:.1f} MiB")
        slowest, taken = 0.0, []
        for number in range(5):
            content = pem(ec.derive_private_key(number + 7, ec.SECP256R1()))
            moment = replace(directory / f"new{number}.pem", content)
            while True:
                asked = time.perf_counter()
                etag, _ = ask(connection, "HEAD")
                slowest = max(slowest, time.perf_counter() - asked)
                if etag != last:
                    break
            taken.append(time.perf_counter() - moment)
            last = etag
            time.sleep(1.5)
        print(f"one more key: {milliseconds(taken)}; slowest concurrent answer {slowest * 1e3:.1f} ms")
        print_idle(server, f" with {count} files")
        connection.close()


def run(*measures: Callable[[Path], None]) -> None:
    """Run each measurement in a folder, on a filesystem in memory if there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - a place for a folder of random name
    where = memory if memory.is_dir() else None
    for measure in measures:
        with tempfile.TemporaryDirectory(dir=where) as folder:
            measure(Path(folder))


if __name__ == "__main__":
    run(rotations, many)
