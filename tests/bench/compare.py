"""Compares the CPU time of a request: ours, nginx, Go, plain aiohttp, a C floor. A full run writes RESULTS.md."""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version, release
from types import FrameType

sys.path[0] = str(Path(__file__).resolve().parents[1])  # so that it runs as a script and with -m alike

from bench.load import CONNECTIONS, Run, Workload, kill_children, load, median  # noqa: E402 - needs the line above
from bench.servers import HERE, NAMES, Field, Server, field, missing, running, start  # noqa: E402 - as above

_NO_FLOOR = frozenset({"floor"})
_WORKLOADS = (
    Workload("keep-alive 200"),
    Workload("keep-alive 304", {"If-None-Match": "{etag}"}, status=304),
    Workload("connection per request", {"Connection": "close"}),
    Workload("gzip", {"Accept-Encoding": "gzip"}, coding="gzip", without=_NO_FLOOR),
    Workload("behind a proxy", script=HERE / "proxied.lua"),
    Workload("no two alike", script=HERE / "unlike.lua", without=_NO_FLOOR),
    Workload("no two targets alike", script=HERE / "queries.lua", without=_NO_FLOOR),
    Workload("TLS keep-alive", tls=True, without=_NO_FLOOR),
    *(
        Workload(
            f"TLS {version[4:].replace('_', '.')}, {kind}",
            tls=True,
            handshakes=(version, option),
            without=_NO_FLOOR,
        )
        for version in ("-tls1_3", "-tls1_2")
        for kind, option in (("full", "-new"), ("resumed", "-reuse"))
    ),
)
_ROTATION = "rotation"
_START = "start"
_STARTS = 5
_LONGEST = 900  # seconds; a full run takes less than a third
_Taken = Mapping[str, Mapping[str, Run]]


def measure(where: Field, names: Sequence[str], works: Sequence[Workload], rounds: int, seconds: int) -> _Taken:
    """Run every workload against every server, in turns, so that a disturbance of the machine affects all."""
    runs: dict[str, dict[str, list[Run]]] = {work.name: {} for work in works}
    with ExitStack() as stack:
        servers = {
            tls: [stack.enter_context(running(where, name, tls=tls)) for name in names if not tls or name != "floor"]
            for tls in sorted({work.tls for work in works})
        }
        for number in range(rounds):
            for work in works:
                first = number % len(servers[work.tls])
                for server in servers[work.tls][first:] + servers[work.tls][:first]:
                    if server.name not in work.without:
                        runs[work.name].setdefault(server.name, []).append(load(server, work, seconds))
    return {work: {name: median(by_name[name]) for name in names if name in by_name} for work, by_name in runs.items()}


def rotate(where: Field, rounds: int, seconds: int) -> tuple[Run, Run]:
    """Load this server without rotations, and while a key is replaced every second."""
    calm, stirred = [], []
    with running(where, "ours") as server:
        for number in range(rounds):
            calm.append(load(server, _WORKLOADS[0], seconds))
            stirred.append(_stir(where, server, number * seconds, seconds))
    return median(calm), median(stirred)


def _stir(where: Field, server: Server, first: int, seconds: int) -> Run:
    stop = threading.Event()

    def turn() -> None:
        number = first
        while not stop.wait(1.0):
            number += 1
            where.rotate(number)

    before = server.etag()
    turning = threading.Thread(target=turn)
    turning.start()
    try:
        run = load(server, _WORKLOADS[0], seconds)
    finally:
        stop.set()
        turning.join()
    if server.etag() == before:
        raise ValueError("the rotations did not show")
    return run


def tables(taken: _Taken) -> str:
    """Write a table for each workload, and one of ratios."""
    parts = [f"## {work}\n\n{_table(by_name)}" for work, by_name in taken.items()]
    peers = [name for name in NAMES if name != "ours" and any(name in by_name for by_name in taken.values())]
    if peers and all("ours" in by_name for by_name in taken.values()):
        rows = [[work, *(_ratio(by_name, "ours", peer) for peer in peers)] for work, by_name in taken.items()]
        parts.append(f"## CPU time of a request, ours / theirs\n\n{_grid(['workload', *peers], rows)}")
    return "\n".join(parts)


def _table(by_name: Mapping[str, Run]) -> str:
    head = ["server", "CPU us/request", "requests/CPU s", "p50 ms", "p99 ms", "RSS MiB", "/ nginx", "/ floor", "errors"]
    rows = [
        [
            name,
            f"{run.cpu_us:.1f}",
            f"{1e6 / run.cpu_us:,.0f}" if run.cpu_us else "",
            f"{run.p50:.2f}" if run.p50 else "",
            f"{run.p99:.2f}" if run.p99 else "",
            f"{run.rss:.1f}",
            _ratio(by_name, name, "nginx"),
            _ratio(by_name, name, "floor"),
            run.errors,
        ]
        for name, run in by_name.items()
    ]
    return _grid(head, rows)


def _ratio(by_name: Mapping[str, Run], one: str, other: str) -> str:
    if other not in by_name or not by_name[other].cpu_us:
        return ""
    return f"{by_name[one].cpu_us / by_name[other].cpu_us:.2f}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "".join(f"| {' | '.join(map(str.ljust, line, widths))} |\n" for line in lines)


def rotation_text(calm: Run, stirred: Run) -> str:
    """Write how a rotation every second affects the latency."""
    table = _table({"undisturbed": calm, "rotating": stirred})
    ratio = stirred.p99 / calm.p99
    return f"## Ours, with a rotation every second\n\n{table}\np99 is {ratio:.2f} times the undisturbed one.\n"


def starts(where: Field) -> str:
    """Measure how long ours and plain aiohttp take to the first answer, and how large they are then."""
    rows = []
    for name in ("ours", "aiohttp"):
        times, used, sizes = map(statistics.median, zip(*(start(where, name) for _ in range(_STARTS)), strict=True))
        rows.append([name, f"{times:.2f}", f"{used:.2f}", f"{sizes:.1f}"])
    return f"## Start\n\n{_grid(['server', 'first answer s', 'its CPU s', 'RSS MiB'], rows)}"


def machine(rounds: int, seconds: int) -> str:
    """Describe the machine, the versions and the way of measuring."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in cpuinfo if line.startswith("model name")), "unknown CPU")
    lines = (
        f"{datetime.now(UTC):%Y-%m-%d}, {model}, {os.cpu_count()} cores, Linux {release()}.",
        f"Python {python_version()}, aiohttp {version('aiohttp')}, uvloop {version('uvloop')};",
        f"{_tool('nginx', '-v')}; {_tool('go', 'version')}; {_tool('wrk', '-v').partition(' Copyright')[0]};",
        f"{_tool('gcc', '--version')}.\n",
        f"Servers on core 0, load on core 1: wrk, one thread, {CONNECTIONS} connections, {seconds} s per run.",
        (
            f"Medians of {rounds} interleaved round(s); errors are sums. Go: GOMAXPROCS=1. nginx: its one worker,"
            " with sendfile off; nginx-sendfile: as Debian configures it (sendfile and tcp_nopush on). TLS 1.2 and 1.3"
            " connections are openssl s_time's, one after the other, each with one request; all servers allow both."
        ),
        (
            "CPU time is user and system; / nginx and / floor are ratios of it. "
            f"Load average before: {os.getloadavg()[0]:.2f}."
        ),
    )
    return "\n".join(lines) + "\n"


def _tool(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def _stop(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # through every finally, which ends the servers


def _choices() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", default=",".join(NAMES), help="servers, separated by commas")
    works = [work.name for work in _WORKLOADS]
    parser.add_argument("--workload", action="append", choices=[*works, _START, _ROTATION], help="repeatable")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    if unknown := set(chosen.only) - set(NAMES):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    chosen.whole = not (chosen.quick or chosen.workload or set(chosen.only) != set(NAMES))
    chosen.workload = chosen.workload or [*works, _START, _ROTATION]
    return chosen


def main() -> int:
    """Run the chosen workloads; exit with 2 if the machine lacks a program or a core."""
    chosen = _choices()
    if absent := missing():
        print(
            f"The benchmark needs Debian's packages {', '.join(absent)}: apt-get install {' '.join(absent)}",
            file=sys.stderr,
        )
        return 2
    if not {0, 1} <= os.sched_getaffinity(0):
        print("The benchmark needs cores 0 and 1.", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _stop)
    signal.alarm(_LONGEST)
    rounds, seconds = (1, 1) if chosen.quick else (3, 1)
    text = f"# The CPU time of a request\n\n{machine(rounds, seconds)}\n"
    try:
        with field() as where:
            with running(where, "ours") as ours:
                where.prepare(ours)
            works = [work for work in _WORKLOADS if work.name in chosen.workload]
            text += tables(measure(where, chosen.only, works, rounds, seconds))
            if _START in chosen.workload:
                text += "\n" + starts(where)
            if _ROTATION in chosen.workload and "ours" in chosen.only:
                text += "\n" + rotation_text(*rotate(where, rounds, seconds * 3))
    finally:
        kill_children(os.getpid())
    print(text)
    if chosen.whole:
        (HERE / "RESULTS.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
