"""The program on a real terminal (pty(7)): no line is wider than it, and no line breaks inside a word."""

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner
from support import HANG_SECONDS, ROOT, SCRIPT, key, public_pem, run, serving, sign, thumbprint

from jwks_server.cli import cli
from jwks_server.console import columns

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A program on a terminal.

    Attributes:
        shown: What it has written so far.
        code: Its exit code, after its end.
    """

    def __init__(self, ours: int, process: subprocess.Popen[bytes], width: int) -> None:
        self._ours = ours
        self._process = process
        self._width = width or 80
        self._data = b""
        self.code: int | None = None

    @property
    def shown(self) -> str:
        """What it has written so far, as text."""
        return self._data.decode().replace("\r\n", "\n")

    @property
    def lines(self) -> list[str]:
        """The lines without escape codes; a line that was written over is there in each of its versions."""
        return re.split(r"[\n\r]", ESCAPE.sub("", self.shown))

    @property
    def words(self) -> list[str]:
        """The words, wherever they stand."""
        return ESCAPE.sub("", self.shown).split()

    def until(self, text: str) -> None:
        """Wait until the program has written a text."""
        self._read(lambda: text in " ".join(self.words))

    def stop(self) -> None:
        """Interrupt the program, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Wait for the end of the program."""
        self._read(lambda: False)
        self.code = self._process.wait(HANG_SECONDS)

    def _read(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not enough():
            ready, _, _ = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, self.shown
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:  # how a terminal without a program reads
                data = b""
            if not data:
                return
            self._data += data

    def check(self) -> None:
        """Check that no line is too wide, and that nothing but colors and a bar steers the terminal.

        In a terminal of less than 80 columns, a line may be one word that is longer.
        """
        for line in self.lines:
            assert columns(line) <= self._width or (self._width < 80 and " " not in line.strip()), self.shown
            assert line.isprintable(), line


@contextmanager
def terminal(*arguments: str | Path, width: int = 80, program: str = SCRIPT, **environment: str) -> Iterator[Terminal]:
    """Run the program on a terminal of this width; without colors, unless the environment says otherwise."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    others = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [program, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**others, "TERM": "xterm", "NO_COLOR": "1", **environment},
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process, width)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


def ended(*arguments: str | Path, **given: Any) -> Terminal:
    """Run the program on a terminal to its end, and check what it shows."""
    with terminal(*arguments, **given) as found:
        found.end()
    found.check()
    assert given.get("NO_COLOR") == "" or "\x1b" not in found.shown
    return found


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    """Make key files of many kinds: good, bad, of another issuer, with names that are wide, long or hostile.

    The folder's path is short: a word that is longer than a line is not broken either.
    """
    with TemporaryDirectory() as folder:
        yield filled(Path(folder) / "keys")


def filled(keys: Path) -> Path:
    """Fill a directory."""
    (keys / "acme").mkdir(parents=True)
    (keys / "2026-10.pem").write_bytes(public_pem(key("RSA")))
    (keys / "2026-11.pem").write_bytes(public_pem(key("P-256")))
    (keys / "2027.pem").write_bytes(public_pem(key("Ed25519")))
    (keys / "jwks.toml").write_text('[keys."2027.pem"]\npublish_at = 2099-01-01T00:00:00Z\n')
    (keys / "acme" / "a.pem").write_bytes(public_pem(key("RSA", 1)))
    (keys / "copy.pem").write_bytes(public_pem(key("RSA")))
    (keys / f"{'鍵' * 20}.pem").write_bytes(b"nonsense")
    (keys / "\x1b]0;title\x07\x1b[2J\u202e.pem").write_bytes(b"nonsense")
    (keys / "no words of any kind in here.pem").write_bytes(b"nonsense")
    return keys


# Each width with colors, without them, or on a terminal that has none.
PLAIN, COLORED, DUMB = {"NO_COLOR": "1"}, {"NO_COLOR": ""}, {"NO_COLOR": "", "TERM": "dumb"}


@pytest.mark.parametrize(("width", "environment"), [(80, PLAIN), (100, COLORED), (200, PLAIN), (40, DUMB)])
def test_serve(keys: Path, width: int, environment: dict[str, Any]) -> None:
    """A start, a request, a rotation and the end fit; the last lines of the start are where to look."""
    old = keys / "old.pem"
    old.write_bytes(public_pem(key("P-384")))
    flags = ("--bind", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0", "--retain", "3600", "--access-log")
    with terminal("serve", keys, *flags, width=width, **environment) as server:
        server.until("status page: http://127.0.0.1:")
        *before, status_page = [line for line in server.lines if line]
        urls = [word for word in server.words if word.startswith("http://")]
        assert status_page == f"status page: {urls[-1]}"
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", urls[-1])
        assert "serving 4 keys of 2 issuers at" in before
        ask = HTTPConnection(urls[0].split("/")[2], timeout=HANG_SECONDS)
        ask.request("GET", "/.well-known/jwks.json")
        assert len(json.load(ask.getresponse())["keys"]) == 3
        ask.close()
        server.until("served_by=")
        old.unlink()
        server.until("key-retiring")
        server.stop()
        server.end()
    assert server.code == 0
    assert ("\x1b[" in server.shown) == (environment is COLORED)
    server.check()
    kid = thumbprint(key("P-384"))
    assert kid not in server.shown
    (line,) = [line for line in " ".join(server.words).split("Z ") if line.startswith("key-retiring")]
    assert line.startswith(f"key-retiring {kid[:8]} ES384 old.pem, leaves the set at ")
    assert width == 40 or any(re.search(r"key-retiring .* at \S+Z$", line) for line in server.lines)
    assert max(map(columns, server.lines)) <= 100


@pytest.mark.parametrize("width", [40, 80, 0])
def test_check(keys: Path, width: int) -> None:
    """Each word is one that a pipe gets too. A terminal without a width counts as one of 80 columns."""
    found = ended("check", keys, width=width)
    assert found.code == 1
    assert sorted(found.words) == sorted(run("check", keys).stdout.split())
    assert width or max(map(columns, found.lines)) in range(60, 81)


def test_help() -> None:
    """The help fits, and has the same words in a pipe."""
    found = ended("--help")
    assert found.code == 0
    assert found.words == run("--help").stdout.split()


@pytest.mark.parametrize("width", [40, 80])
def test_serve_help(width: int) -> None:
    """The help of serve has an example, and the options in groups."""
    found = ended("serve", "--help", width=width)
    headings = [line for line in found.lines if re.fullmatch(r"[A-Z][A-Za-z ]+:", line)]
    assert headings[:4] == ["Example:", "Key files:", "JWK Set:", "Rotation:"]


def test_every_help() -> None:
    """The help of each command fits, and has the same words in a pipe."""
    program = (
        "from jwks_server.cli import cli\n"
        "for name in cli.commands: cli.main([name, '--help'], prog_name='jwks-server', standalone_mode=False)\n"
    )
    found = ended("-c", program, program=sys.executable)
    assert found.code == 0
    piped = "".join(CliRunner().invoke(cli, [name, "--help"], "jwks-server").output for name in cli.commands)
    assert [word for word in found.words if word != "jwks-server"] == [
        word for word in piped.split() if word not in {"cli", "jwks-server"}
    ]


def test_the_program_alone() -> None:
    """It says how to begin, in three commands that work one after the other."""
    found = ended()
    assert found.code == 2
    commands = [line.strip() for line in found.lines if line.startswith("  ")]
    assert [line.split()[0] for line in commands] == ["mkdir", "jwks-server", "jwks-server"]
    assert commands[2] == "jwks-server serve keys"


def test_the_first_commands(tmp_path: Path) -> None:
    """The key that they make is accepted by the check."""
    found = [line.strip() for line in run().stderr.splitlines() if line.startswith("  ")]
    path = f"{Path(SCRIPT).parent}{os.pathsep}{os.environ['PATH']}"
    for command in found[:2]:
        subprocess.run(
            ["bash", "-ec", command], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True
        )


def test_errors_fit(keys: Path) -> None:
    """An error is wrapped between words, and is the only thing that a server says whose port is in use."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        address = f"127.0.0.1:{used.getsockname()[1]}"
        found = ended("serve", keys, "--bind", address, "--admin-bind", "off")
    assert found.code == 1
    text = f"jwks-server: {address} can't be listened on (Address already in use); choose another with --bind."
    assert " ".join(found.words) == f"{text} [listen-failed]"
    found = ended("check", keys / "none", JWKS_SERVER_RETAINN="5")
    assert (found.code, found.words[-1]) == (2, "[directory-missing]")
    assert "[variable-unknown]" in found.words


async def test_wait_diff_and_verify(keys: Path) -> None:
    """Commands that ask a server fit too: wait with lines and with a bar, diff with its table, verify."""
    kid = thumbprint(key("RSA"))
    async with serving(keys) as server:

        def ask() -> None:
            found = ended("wait", kid, server.url)
            assert found.code == 0
            assert " ".join(found.words).endswith(f"{kid} is served by 1 of 1 replicas.")
            for width, environment in ((80, PLAIN), (80, COLORED), (40, COLORED)):
                found = ended("wait", "nothing", server.url, "--timeout", "0.2", width=width, **environment)
                assert (found.code, found.words[-1]) == (1, "[wait-timeout]")
                assert "0 of 1" in " ".join(found.words) or environment is PLAIN
            found = ended("diff", keys / "acme", server.url)
            assert found.code == 1
            assert kid in found.words
            token = sign(key("RSA", 2), "RS256", "another")
            assert ended("verify", token, server.url, keys).code == 1

        await asyncio.to_thread(ask)


def test_inspect_and_kid(keys: Path) -> None:
    """Commands about one file fit."""
    for command in ("inspect", "kid"):
        found = ended(command, keys / "2026-10.pem")
        assert found.code == 0
        assert thumbprint(key("RSA")) in found.words


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_run_says_how_to_change_ports() -> None:
    """Its first line fits and can be used as it is, whether the port is free or not."""
    command = ["make", "--no-print-directory", "-n", "run", "ARGS=--bind 127.0.0.1:9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, said, serves = done.stdout.splitlines()
    assert serves.endswith("/jwks-server serve sample_keys --bind 127.0.0.1:9")
    (line,) = shlex.split(said)[1:]
    assert columns(line) <= 80
    assert line == 'Other ports: make run ARGS="--bind 127.0.0.1:9080 --admin-bind 127.0.0.1:9081"'
