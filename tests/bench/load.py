"""Loads a server with wrk from the second core, and measures the CPU time of the server."""

import http.client
import os
import re
import signal
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import PATH, TRUSTING, Server

CONNECTIONS = 32
_PATIENCE = 20.0
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of one kind.

    Attributes:
        name: As it stands in the tables.
        headers: Sent with each request; ``{etag}`` becomes the server's current entity tag.
        status: What each answer must say.
        coding: The Content-Encoding that each answer must have.
        script: wrk's Lua file, which makes the requests.
        tls: Whether it goes over TLS.
        handshakes: The options of ``openssl s_time``, which opens one connection after the other, each for one
            request; empty for wrk.
        without: Servers that can't answer it.
    """

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    coding: str | None = None
    script: Path | None = None
    tls: bool = False
    handshakes: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run. Times are per request: CPU time in microseconds, latency in milliseconds (0: unknown)."""

    cpu_us: float
    p50: float
    p99: float
    rss: float
    requests: int
    socket_errors: int
    bad_statuses: int

    @property
    def errors(self) -> str:
        """Describe the errors."""
        return f"{self.socket_errors} socket, {self.bad_statuses} status" if self.failed else "0"

    @property
    def failed(self) -> int:
        """Count the errors."""
        return self.socket_errors + self.bad_statuses


def load(server: Server, work: Workload, seconds: int) -> Run:
    """Load a server for some seconds."""
    headers = {name: value.replace("{etag}", server.etag()) for name, value in work.headers.items()}
    _probe(server, work, headers)
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command += ["-s", str(work.script)] if work.script else []
    if work.handshakes:
        return _connect(server, work.handshakes, seconds)
    before = server.cpu()
    done = subprocess.run(
        [*command, server.url], check=True, capture_output=True, text=True, timeout=seconds + _PATIENCE
    )
    return _read(done.stdout, server.cpu() - before, server.rss())


def _connect(server: Server, options: Sequence[str], seconds: int) -> Run:
    """Open TLS connections with openssl, which tells for each whether its session was resumed."""
    command = ["taskset", "-c", "1", "openssl", "s_time", "-connect", f"127.0.0.1:{server.port}", "-www", PATH]
    before = server.cpu()
    done = subprocess.run(
        [*command, *options, "-time", str(seconds)],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds * 3 + _PATIENCE,
    )
    cpu, number = server.cpu() - before, int(_find(r"(\d+) connections in \d+ real seconds", done.stdout))
    resumed = re.findall(r"(?m)^r+$|^r+(?=\d)", done.stdout)
    if bool(sum(map(len, resumed)) > number // 2) != ("-reuse" in options):
        raise ValueError(f"{server.name} resumed {sum(map(len, resumed))} of {number} sessions with {options}")
    return Run(cpu * 1e6 / number, 0.0, 0.0, server.rss(), number, 0, 0)


def median(runs: Sequence[Run]) -> Run:
    """Take the median of each figure, and the sum of the counts."""
    return Run(
        cpu_us=statistics.median(run.cpu_us for run in runs),
        p50=statistics.median(run.p50 for run in runs),
        p99=statistics.median(run.p99 for run in runs),
        rss=statistics.median(run.rss for run in runs),
        requests=sum(run.requests for run in runs),
        socket_errors=sum(run.socket_errors for run in runs),
        bad_statuses=sum(run.bad_statuses for run in runs),
    )


def kill_children(pid: int) -> None:
    """Kill the processes that a process of ours started and left behind, with their children."""
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        kill_children(child)
        os.kill(child, signal.SIGKILL)


def _probe(server: Server, work: Workload, headers: Mapping[str, str]) -> None:
    """Send one request as wrk will, since wrk doesn't distinguish a 304 from a 200."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", server.port, timeout=_PATIENCE, context=TRUSTING)
        if server.tls
        else http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
    )
    connection.putrequest("GET", PATH, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    got = reply.status, reply.headers["Content-Encoding"]
    connection.close()
    if got != (work.status, work.coding):
        raise ValueError(f"{server.name} answered {work.name} with {got}")


def _read(text: str, cpu: float, rss: float) -> Run:
    requests = int(_find(r"(\d+) requests in", text))
    if not requests:
        raise ValueError(f"no request was answered: {text}")
    wrong = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Run(
        cpu_us=cpu * 1e6 / requests,
        p50=_milliseconds(_find(r"(?m)^\s+50%\s+(\S+)", text)),
        p99=_milliseconds(_find(r"(?m)^\s+99%\s+(\S+)", text)),
        rss=rss,
        requests=requests,
        socket_errors=sum(map(int, wrong.groups())) if wrong else 0,
        bad_statuses=int(_find(r"Non-2xx or 3xx responses: (\d+)|$", text) or 0),
    )


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"wrk printed no {pattern}: {text}")
    return found[1] or ""


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise ValueError(f"not a time: {text}")
    return float(found[1]) * _UNITS[found[2]]
