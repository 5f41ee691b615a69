"""Wrong usages of a process: descriptors, pipes, terminals and directories that are not what they should be."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import HANG_SECONDS, SCRIPT

from jwks_server.cli import cli

FULL = Path("/dev/full")
COMMANDS = sorted(cli.commands)
SENTENCE = re.compile(r"jwks-server: [^\n]{10,} \[[a-z]+(-[a-z]+)*\]\n")


def shell(line: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Run a line of bash, in which J is the program; return the exit code and what it says on standard error."""
    done = subprocess.run(
        ["bash", "-c", f"J={SCRIPT}; {line}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=HANG_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux")
@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--version",
        "check keys",
        "check keys --json",
        "kid keys/a.pem",
        "version",
        "version --json",
        "completion bash",
    ]
    + [f"{name} --help" for name in COMMANDS],
)
def test_what_can_not_be_printed_is_no_answer(keys: Path, words: str) -> None:
    """Into a full disk, each output is an error, the help and the version too."""
    code, said = shell(f"$J {words} >/dev/full", keys.parent)
    assert (code, bool(SENTENCE.fullmatch(said))) == (2, True), said
    assert "[output-unusable]" in said


@pytest.mark.parametrize(
    "words", ["--help", "--version", "serve --help", "check keys", "completion bash", "kid --help"]
)
def test_a_reader_that_has_left_is_141(keys: Path, words: str) -> None:
    """As after SIGPIPE, and silently."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [SCRIPT, *words.split()],
        cwd=keys.parent,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=HANG_SECONDS,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-", "2> >(true)"])
@pytest.mark.parametrize("words", ["check nope", "check --frobnicate", "kid nope.pem", "JWKS_SERVER_X=1 check nope"])
def test_an_error_that_can_not_be_told_keeps_its_code(keys: Path, words: str, where: str) -> None:
    """The exit code doesn't depend on standard error."""
    variable = "env JWKS_SERVER_X=1 " if words.startswith("JWKS") else ""
    assert shell(f"{variable}$J {words.removeprefix('JWKS_SERVER_X=1 ')} {where}", keys.parent)[0] == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_opened(keys: Path, closed: str) -> None:
    """Serve works with each standard descriptor closed, and ends with 0; a command does so too."""
    assert shell(f"$J check keys {closed}", keys.parent) == (0, "")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        ["bash", "-c", f"exec {SCRIPT} serve keys --bind 127.0.0.1:{port} --admin-bind off {closed}"], cwd=keys.parent
    ) as process:
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as client:
                    client.sendall(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    assert client.recv(12) == b"HTTP/1.1 200"
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                assert process.poll() is None
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ("render KEYS --out out", 2, "config-invalid"),
        ("render . --out out", 2, "directory-missing"),
        ("check keys", 2, "directory-missing"),
        ("check KEYS --state state", 0, ""),
        ("verify x keys", 2, "token-malformed"),
        ("kid a.pem", 2, "file-unreadable"),
        ("inspect a.pem", 2, "file-unreadable"),
    ],
)
def test_a_deleted_working_directory(keys: Path, words: str, code: int, kind: str) -> None:
    """A relative path that leads nowhere is told like any other."""
    folder = keys.parent / "folder"
    folder.mkdir()
    got, said = shell(f"rmdir {folder}; $J {words.replace('KEYS', str(keys))}", folder)
    assert got == code, said
    assert (said == "") == (code == 0)
    assert code == 0 or (SENTENCE.fullmatch(said) and f"[{kind}]" in said), said


@pytest.mark.parametrize(
    ("flags", "code", "kind"),
    [
        ("--bind 127.0.0.1:PORT", 1, "listen-failed"),
        ("--bind 192.0.2.1:1", 1, "listen-failed"),
        ("--bind unix:/nonexistent/a", 1, "listen-failed"),
        ("--bind fd:0", 1, "listen-failed"),
        ("--bind fd:77", 1, "listen-failed"),
        ("--bind no-such-host.invalid:1", 1, "listen-failed"),
        ("--admin-bind 127.0.0.1:PORT", 1, "listen-failed"),
        ("--tls-cert nope --tls-key nope", 1, "tls-invalid"),
        ("--tls-cert keys/a.pem --tls-key keys/a.pem", 1, "tls-invalid"),
    ],
)
def test_a_server_that_can_not_start(keys: Path, flags: str, code: int, kind: str) -> None:
    """The last line is one sentence with the code, without a traceback and without OpenSSL's own words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        bind = "" if "--bind" in flags.replace("--admin-bind", "") else "--bind 127.0.0.1:0"
        admin = "" if "--admin-bind" in flags else "--admin-bind off"
        got, said = shell(f"$J serve keys {bind} {admin} {flags.replace('PORT', port)} </dev/null", keys.parent)
    assert got == code, said
    last = said.splitlines(keepends=True)[-1]
    assert SENTENCE.fullmatch(last)
    assert last.endswith(f"[{kind}]\n")
    assert "Traceback" not in said
    assert "_ssl.c" not in said


def on_a_terminal(arguments: list[str], folder: Path, environment: Mapping[str, str], columns: int = 80) -> str:
    """Run the program on a terminal, and return what it shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SCRIPT, *arguments],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**{name: value for name, value in os.environ.items() if name != "NO_COLOR"}, "COLUMNS": str(columns)}
        | {"TERM": "xterm"}
        | dict(environment),
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:  # how a closed terminal reads
            pass
        process.wait(HANG_SECONDS)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_tables_fit_the_terminal(keys: Path, columns: int) -> None:
    """No line is wider than the terminal, no word is broken, and one long name widens no other row."""
    (keys / "old.pem").write_bytes(b"nonsense")
    (keys / f"{'鍵' * 30}.pem").write_bytes(b"nonsense")
    (keys / "private.key").write_bytes(b"")
    shown = on_a_terminal(["check", "keys"], keys.parent, {"NO_COLOR": "1"}, columns)
    lines = shown.splitlines()
    long = [line for line in lines if len(line) > columns]
    assert all(" " not in line.strip() for line in long), shown
    reason = "No line reads -----BEGIN ...-----; write the key as PEM, with its line breaks. [pem-missing]"
    assert reason in " ".join(shown.split())
    (row,) = [line for line in lines if line.startswith("old.pem")]
    assert len(row) <= 30
    if columns == 80:
        assert "a.pem        published  " in shown


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False)],
)
def test_colors_on_a_terminal(keys: Path, environment: dict[str, str], colored: bool) -> None:
    """NO_COLOR and a dumb terminal have none."""
    assert ("\x1b[" in on_a_terminal(["check", "keys"], keys.parent, environment)) == colored


@pytest.mark.parametrize("force", ["", "1"])
def test_colors_in_a_pipe(keys: Path, force: str) -> None:
    """A pipe gets colors only with FORCE_COLOR, from a command and from the log."""
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    environment |= {"FORCE_COLOR": force} if force else {}
    done = subprocess.run(
        [SCRIPT, "check", str(keys)], capture_output=True, timeout=HANG_SECONDS, check=True, env=environment
    )
    assert (b"\x1b[" in done.stdout) == bool(force)
    with subprocess.Popen(
        [SCRIPT, "serve", str(keys), "--bind", "127.0.0.1:0", "--admin-bind", "off"],
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stderr is not None
        assert select.select([process.stderr], [], [], HANG_SECONDS)[0]
        line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert (b"\x1b[" in line) == bool(force)
