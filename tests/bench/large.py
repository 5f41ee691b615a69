"""Measures what many keys, many issuers and many changes cost, beside an earlier revision. Prints a table.

``python -m bench.large [--against REVISION] [MEASURE...]`` runs all measurements, or those that are named. The targets
are in the table, so that a reader sees what is missed; nothing fails because of a figure.
"""

import argparse
import http.client
import io
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import heartbeat, ours
from bench.ours import PATH, Server, ask, pem, replace
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

_MANY_KEYS = 10_000
_MANY_ISSUERS = 5_000
_SOME_ISSUERS = 1_000
_SOME_FILES = 3_000
_KEYS = 3
_SECONDS = 15
_CHANGES = 10
_ROTATIONS = 200
_CHURN_PER_SECOND = 5
_PATIENCE_SECONDS = 120
_AHEAD_SECONDS = 45


@dataclass(frozen=True)
class Beating(Server):
    """A running server with a heartbeat."""

    def blocked(self) -> str:
        """Describe how long the loop was blocked since the last call."""
        used, passed = heartbeat.blocked(self.process)
        return f"{used:.0f} ms of CPU, {passed:.0f} ms in all"

    def connection(self) -> http.client.HTTPConnection:
        """Connect to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)


def serving(directory: Path, code: Path | None, *options: str) -> AbstractContextManager[Beating]:
    """Run the server, or the one in another folder, with a heartbeat."""
    return ours.serving(directory, *options, program=heartbeat.COMMAND, code=code, kind=Beating)


@dataclass
class Row:
    """One line of the table: what was measured, and what must be met."""

    what: str
    must: str
    figures: dict[str, str] = field(default_factory=dict)


Figures = Iterator[tuple[str, str, str]]


def _public(number: int) -> bytes:
    return pem(ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


def _fill_keys(directory: Path, count: int) -> None:
    for number in range(count):
        (directory / f"{number}.pem").write_bytes(_public(number))


def fill_issuers(directory: Path, count: int, more: Mapping[str, bytes] | None = None) -> None:
    """Write the folders of issuers, each with a few keys and more files."""
    for number in range(count):
        folder = directory / f"issuer-{number}"
        folder.mkdir()
        for nth in range(_KEYS):
            (folder / f"{nth}.pem").write_bytes(_public(number * _KEYS + nth))
        for name, text in (more or {}).items():
            (folder / name).write_bytes(text)


def _until(server: Beating, path: str, last: str = "") -> float:
    """Ask for an issuer's set until it has another entity tag than the last one; return the time.

    A set that isn't there yet is asked for less often, since the server is busy then.
    """
    connection = server.connection()
    while (tag := ask(connection, "HEAD", path)[0]) in {"", last}:
        time.sleep(0.001 if tag else 0.02)
    connection.close()
    return time.perf_counter()


def _tag(server: Beating, path: str) -> str:
    connection = server.connection()
    tag, _ = ask(connection, "HEAD", path)
    connection.close()
    return tag


def _changes(server: Beating, folder: Path, path: str) -> Sequence[float]:
    """Add one key after the other; return how long each took until an answer showed it."""
    taken = []
    for number in range(_CHANGES):
        last = _tag(server, path)
        content = pem(ec.derive_private_key(number + 7, ec.SECP256R1()))
        moment = replace(folder / f"new{number}.pem", content)
        taken.append(_until(server, path, last) - moment)
        time.sleep(1.5)  # each change is one by itself
    return taken


def _ms(taken: Sequence[float]) -> str:
    ranked = sorted(taken)
    at_99 = ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))]
    return f"p50 {statistics.median(ranked) * 1e3:.1f}, p99 {at_99 * 1e3:.1f} ms"


def _cpu(server: Beating, seconds: float = _SECONDS, work: Callable[[float], None] = time.sleep) -> str:
    """Measure which share of a core the server uses during some work, without its heartbeat."""
    heartbeat.toggle(server.process)
    before, moment = server.cpu(), time.perf_counter()
    work(seconds)
    share = (server.cpu() - before) / (time.perf_counter() - moment)
    heartbeat.toggle(server.process)
    return f"{share:.2%}"


def keys(directory: Path, code: Path | None) -> Figures:
    """10,000 keys in one directory."""
    _fill_keys(directory, _MANY_KEYS)
    for options in ((), ("--state", str(directory.with_name("state.json")))):
        also = " with --state" if options else ""
        began = time.perf_counter()
        with serving(directory, code, *options) as server:
            took = _until(server, PATH) - began
            yield f"10,000 keys: first answer{also}", "1.5 s", f"{took:.2f} s"
            yield f"10,000 keys: loop blocked at the start{also}", "10 ms", server.blocked()
            time.sleep(5)
            server.blocked()
            yield f"10,000 keys: one more{also}", "50 ms", _ms(_changes(server, directory, PATH))
            yield f"10,000 keys: loop blocked by it{also}", "10 ms", server.blocked()
            yield f"10,000 keys: RSS{also}", "90 MiB", f"{server.rss():.0f} MiB"
            yield f"10,000 keys: idle{also}", "", _cpu(server)
        for added in directory.glob("new*.pem"):
            added.unlink()


def issuers(directory: Path, code: Path | None) -> Figures:
    """5,000 issuers with 3 keys each."""
    fill_issuers(directory, _MANY_ISSUERS)
    last = f"/issuer-{_MANY_ISSUERS - 1}{PATH}"
    began = time.perf_counter()
    with serving(directory, code) as server:
        yield "5,000 issuers: first answer", "4 s", f"{_until(server, last) - began:.2f} s"
        yield "5,000 issuers: loop blocked at the start", "10 ms", server.blocked()
        time.sleep(10)
        server.blocked()
        folder = directory / f"issuer-{_MANY_ISSUERS - 1}"
        yield "5,000 issuers: one change", "20 ms", _ms(_changes(server, folder, last))
        yield "5,000 issuers: loop blocked by it", "10 ms", server.blocked()
        taken = []
        for number in range(_CHANGES):
            folder = directory / f"new-{number}"
            folder.mkdir()
            moment = replace(folder / "0.pem", _public(number + 1_000_000))
            taken.append(_until(server, f"/new-{number}{PATH}") - moment)
            time.sleep(1.5)
        yield "5,000 issuers: a new one", "100 ms", _ms(taken)
        yield "5,000 issuers: loop blocked by a new one", "10 ms", server.blocked()
        yield "5,000 issuers: RSS", "120 MiB", f"{server.rss():.0f} MiB"
        yield "5,000 issuers: idle", "", _cpu(server)


def churn(directory: Path, code: Path | None) -> Figures:
    """Folders that come and go beside 1,000 issuers."""
    fill_issuers(directory, _SOME_ISSUERS)
    with serving(directory, code) as server:
        time.sleep(5)

        def come_and_go(seconds: float) -> None:
            end = time.perf_counter() + seconds
            number = 0
            while time.perf_counter() < end:
                folder = directory / f"churn-{number}"
                folder.mkdir()
                (folder / "0.pem").write_bytes(_public(number + 1_000_000))
                time.sleep(1 / _CHURN_PER_SECOND)
                shutil.rmtree(folder)
                number += 1

        server.blocked()
        yield "5 folders a second beside 1,000: CPU", "5 %", _cpu(server, work=come_and_go)
        stop = threading.Event()

        def until_stopped() -> None:
            while not stop.is_set():
                come_and_go(0.5)

        churning = threading.Thread(target=until_stopped)
        churning.start()
        taken = _changes(server, directory / "issuer-500", f"/issuer-500{PATH}")
        stop.set()
        churning.join()
        yield "5 folders a second beside 1,000: another change", "20 ms", _ms(taken)
        yield "5 folders a second beside 1,000: loop blocked", "10 ms", server.blocked()
        time.sleep(3)
        yield "1,000 issuers: idle", "1 %", _cpu(server)
        yield "1,000 issuers: RSS", "", f"{server.rss():.0f} MiB"


def idle(directory: Path, code: Path | None) -> Figures:
    """A process with nothing to do."""
    _fill_keys(directory, 3)
    with serving(directory, code) as server:
        time.sleep(3)
        yield "3 keys: idle", "0.7 %", _cpu(server)
        yield "3 keys: RSS", "", f"{server.rss():.1f} MiB"
    _fill_keys(directory, _SOME_FILES)
    with serving(directory, code) as server:
        time.sleep(5)
        yield "3,000 files: idle", "1 %", _cpu(server)


def rotation(directory: Path, code: Path | None) -> Figures:
    """A key that replaces another one, among a few."""
    _fill_keys(directory, 3)
    contents = [pem(ec.derive_private_key(number + 7, ec.SECP256R1())) for number in range(_ROTATIONS)]
    with serving(directory, code) as server:
        connection = server.connection()
        last, _ = ask(connection)
        server.blocked()
        taken = []
        for content in contents:
            moment = replace(directory / "0.pem", content)
            while (tag := ask(connection)[0]) == last:
                pass
            taken.append(time.perf_counter() - moment)
            last = tag
            time.sleep(0.05)  # each rotation is one by itself
            last, _ = ask(connection)
        yield "3 keys: rename to answer", "p50 5, p99 10 ms", _ms(taken)
        yield "3 keys: loop blocked by it", "10 ms", server.blocked()


def countdown(directory: Path, code: Path | None) -> Figures:
    """1,000 issuers whose sets change at one moment, and caches that count down to it."""
    moment = int(time.time()) + _AHEAD_SECONDS
    written = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = f'[keys."0.pem"]\npublish_at = {written}\n'.encode()
    fill_issuers(directory, _SOME_ISSUERS, {"jwks.toml": policy})
    with serving(directory, code) as server:
        paths = [f"/issuer-{number}{PATH}" for number in (0, _SOME_ISSUERS // 2, _SOME_ISSUERS - 1)]
        _until(server, paths[-1])
        connection = server.connection()
        before = {path: ask(connection, "HEAD", path)[0] for path in paths}
        time.sleep(max(0.0, moment - time.time() - 25))
        server.blocked()
        yield "1,000 issuers: countdown to a change", "2 %", _cpu(server)
        time.sleep(3)
        yield "1,000 issuers: loop blocked by it", "10 ms", server.blocked()
        time.sleep(max(0.0, moment - time.time() - 0.5))
        late: dict[str, float] = {}
        while len(late) < len(paths):
            for path in paths:
                if path not in late and ask(connection, "HEAD", path)[0] != before[path]:
                    late[path] = time.time() - moment
        yield "1,000 issuers: the change comes late by", "50 ms", f"{max(late.values()) * 1e3:.1f} ms"
        time.sleep(2)
        yield "1,000 issuers: loop blocked by the change", "10 ms", server.blocked()
        connection.close()


def moment(directory: Path, code: Path | None) -> Figures:
    """One issuer whose set changes at a moment."""
    taken = []
    _fill_keys(directory, 3)
    for _ in range(3):
        at = int(time.time()) + 4
        written = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        (directory / "jwks.toml").write_text(f'[keys."0.pem"]\npublish_at = {written}\n')
        with serving(directory, code) as server:
            connection = server.connection()
            last, _ = ask(connection)
            time.sleep(max(0.0, at - time.time() - 0.3))
            while ask(connection)[0] == last:
                pass
            taken.append(time.time() - at)
            connection.close()
    yield "3 keys: a scheduled change comes late by", "5 ms", f"{', '.join(f'{one * 1e3:.1f}' for one in taken)} ms"


_MEASURES: Mapping[str, Callable[[Path, Path | None], Figures]] = {
    measure.__name__: measure for measure in (keys, issuers, churn, idle, rotation, countdown, moment)
}


@contextmanager
def _earlier(revision: str) -> Iterator[Path]:
    """Unpack the package as it was at a revision."""
    packed = subprocess.run(
        ["git", "archive", revision, "jwks_server"], check=True, capture_output=True, cwd=".."
    ).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
        yield Path(folder)


def _measure(name: str, side: str, code: Path | None, rows: dict[str, Row]) -> None:
    memory = Path("/dev/shm")  # noqa: S108 - a place for a folder of random name
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        directory = Path(folder) / "keys"
        directory.mkdir()
        for what, must, figure in _MEASURES[name](directory, code):
            rows.setdefault(what, Row(what, must)).figures[side] = figure
            print(f"{side}: {what}: {figure} (must {must or 'print'})", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", metavar="REVISION", help="measure this revision too")
    parser.add_argument("measures", nargs="*", choices=[[], *_MEASURES], help="what to measure; all without one")
    arguments = parser.parse_args()
    rows: dict[str, Row] = {}
    with _earlier(arguments.against) if arguments.against else tempfile.TemporaryDirectory() as before:
        sides = ([("before", Path(before))] if arguments.against else []) + [("now", None)]
        for name in arguments.measures or _MEASURES:
            for side, code in sides:
                _measure(name, side, code, rows)
    names = [side for side, _ in sides]
    print(f"| what | {' | '.join(names)} | must |\n|{' --- |' * (len(names) + 2)}")
    for row in rows.values():
        print(f"| {row.what} | {' | '.join(row.figures.get(side, '') for side in names)} | {row.must} |")


if __name__ == "__main__":
    main()
