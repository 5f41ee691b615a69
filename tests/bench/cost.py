"""What a request costs each server. Prints tables, and writes them to RESULTS.md beside this file."""

import argparse
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version, release

from bench.servers import HERE, NAMES, Field, Server, field, missing, running

_CONNECTIONS = 32
_WORKLOADS: Mapping[str, Sequence[str]] = {
    "keep-alive 200": (),
    "keep-alive 304": ("-H", "If-None-Match: {etag}"),
    "connection per request": ("-H", "Connection: close"),
    "gzip": ("-H", "Accept-Encoding: gzip"),
    "behind a proxy": ("-s", str(HERE / "proxied.lua")),
}
_NO_FLOOR = {"gzip"}


@dataclass(frozen=True)
class Run:
    """One run of the load: CPU microseconds a request, latencies in milliseconds, and what went wrong."""

    cpu_us: float
    requests: int
    p50: float
    p99: float
    rss: float
    errors: int


def load(server: Server, flags: Sequence[str], seconds: int) -> Run:
    """Load a server from the second core."""
    etag = server.etag() if any("{etag}" in flag for flag in flags) else ""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}", "--latency"]
    command += [flag.replace("{etag}", etag) for flag in flags]
    before = server.cpu()
    done = subprocess.run([*command, server.url], check=True, capture_output=True, text=True, timeout=seconds + 30)
    used = server.cpu() - before
    requests = int(_find(r"(\d+) requests in", done.stdout))
    wrong = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout)
    errors = sum(map(int, wrong.groups())) if wrong else 0
    errors += int(_find(r"Non-2xx or 3xx responses: (\d+)", done.stdout, "0"))
    return Run(
        cpu_us=used * 1e6 / requests,
        requests=requests,
        p50=_milliseconds(_find(r"(?m)^\s+50%\s+(\S+)", done.stdout)),
        p99=_milliseconds(_find(r"(?m)^\s+99%\s+(\S+)", done.stdout)),
        rss=server.rss(),
        errors=errors,
    )


def _find(pattern: str, text: str, default: str | None = None) -> str:
    found = re.search(pattern, text)
    if found is None and default is None:
        raise ValueError(f"wrk printed no {pattern}: {text}")
    return found[1] if found else str(default)


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def median(runs: Sequence[Run]) -> Run:
    """Take the run in the middle, by CPU time."""
    return sorted(runs, key=lambda run: run.cpu_us)[len(runs) // 2]


def compare(where: Field, names: Sequence[str], workloads: Sequence[str], rounds: int, seconds: int) -> str:
    """Run every workload against every server, in turn, round by round; write the tables."""
    results: dict[tuple[str, str], list[Run]] = {}
    for _ in range(rounds):
        for name in names:
            with running(where, name) as server:
                for workload in workloads:
                    if name == "floor" and workload in _NO_FLOOR:
                        continue
                    results.setdefault((workload, name), []).append(load(server, _WORKLOADS[workload], seconds))
    lines = []
    for workload in workloads:
        taken = {name: median(results[workload, name]) for name in names if (workload, name) in results}
        lines += [
            f"\n### {workload}\n",
            "| server | CPU us/request | requests/CPU s | p50 ms | p99 ms | RSS MiB | errors |",
        ]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        lines += [
            f"| {name} | {run.cpu_us:.1f} | {1e6 / run.cpu_us:,.0f} | {run.p50:.2f} | {run.p99:.2f} | "
            f"{run.rss:.0f} | {run.errors} |"
            for name, run in taken.items()
        ]
    lines += ["\n### CPU time of ours to theirs\n", f"| workload | {' | '.join(n for n in names if n != 'ours')} |"]
    lines += ["| --- |" + " --- |" * (len(names) - 1)]
    for workload in workloads:
        ours = median(results[workload, "ours"]).cpu_us
        ratios = [
            f"{ours / median(results[workload, name]).cpu_us:.2f}" if (workload, name) in results else ""
            for name in names
            if name != "ours"
        ]
        lines.append(f"| {workload} | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def rotation(where: Field, seconds: int) -> str:
    """Load ours while a key is replaced every second."""
    with running(where, "ours") as server:
        calm = load(server, (), seconds)
        stop = threading.Event()

        def rotate() -> None:
            number = 0
            while not stop.wait(1.0):
                number += 1
                where.rotate(number)

        rotating = threading.Thread(target=rotate)
        rotating.start()
        try:
            stirred = load(server, (), seconds)
        finally:
            stop.set()
            rotating.join()
    return (
        "\n### A rotation every second, under load\n\n"
        f"p99 {stirred.p99:.2f} ms, undisturbed {calm.p99:.2f} ms ({stirred.p99 / calm.p99:.2f} x); "
        f"{stirred.requests:,} requests, {stirred.errors} errors.\n"
    )


def machine() -> str:
    """Describe the machine and the versions."""
    model = _find(r"model name\s+: (.+)", Path("/proc/cpuinfo").read_text(), "unknown")
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")

    def tool(*command: str) -> str:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return (done.stdout + done.stderr).splitlines()[0].strip()

    return "\n".join(
        (
            f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores ({model}), Linux {release()}.",
            f"Server on one core, load on the other, {_CONNECTIONS} connections; of several rounds the one",
            "in the middle, by CPU time. Go has GOMAXPROCS=1.",
            f"Python {python_version()}, aiohttp {version('aiohttp')}, uvloop {version('uvloop')};",
            f"{tool('nginx', '-v')};",
            f"{tool('go', 'version')}; {tool('gcc', '--version')}; {tool('wrk', '-v').partition(' Copyright')[0]}.",
        )
    )


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="one short round; writes no file")
    arguments.add_argument("--only", default=",".join(NAMES), help="servers, separated by commas")
    arguments.add_argument("--workload", action="append", choices=list(_WORKLOADS), help="repeatable")
    chosen = arguments.parse_args()
    if absent := missing():
        sys.exit(f"This benchmark needs Debian's packages {', '.join(absent)}: apt-get install {' '.join(absent)}")
    rounds, seconds = (1, 1) if chosen.quick else (3, 2)
    with field() as where:
        with running(where, "ours") as ours:
            where.prepare(ours)
        workloads = chosen.workload or list(_WORKLOADS)
        tables = compare(where, chosen.only.split(","), workloads, rounds, seconds)
        tables += rotation(where, seconds * 2)
    text = f"# What a request costs\n\n{machine()}\n{tables}"
    print(text)
    if not chosen.quick:
        (HERE / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
