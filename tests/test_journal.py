"""Priorities for journald."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import HANG_SECONDS, SCRIPT, key, public_pem

from jwks_server.journal import prefix, with_priority


def journaled(*command: str, matches: bool = True, until: bytes = b"") -> bytes:
    """Run a command whose standard error is a stream that systemd would have connected; give what it wrote.

    Args:
        command: The command.
        matches: Whether the stream is the one that systemd names.
        until: What a line has in it after which the command gets SIGTERM; nothing to let it end by itself.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            status = os.fstat(theirs.fileno())
            stream = f"{status.st_dev}:{status.st_ino if matches else status.st_ino + 1}"
            process = subprocess.Popen(command, stderr=theirs.fileno(), env={**os.environ, "JOURNAL_STREAM": stream})
        ours.settimeout(HANG_SECONDS)
        lines = []
        try:
            with ours.makefile("rb") as written:
                for line in written:
                    lines.append(line)
                    if until and until in line:
                        process.terminate()
            process.wait(HANG_SECONDS)
        finally:
            process.kill()
            process.wait()
    return b"".join(lines)


@pytest.mark.parametrize(
    ("level", "priority"),
    [("critical", 2), ("error", 3), ("exception", 3), ("warning", 4), ("info", 6), ("debug", 7), ("other", 6)],
)
def test_levels(level: str, priority: int) -> None:
    """Each level has the priority of syslog(3)."""
    program = f"import sys; from jwks_server.journal import prefix; sys.stderr.write(prefix({level!r}))"
    assert journaled(sys.executable, "-c", program) == f"<{priority}>".encode()


def test_each_line_has_the_priority() -> None:
    """A traceback is several entries of the journal, with one priority."""
    program = (
        "import sys; from jwks_server.journal import with_priority; "
        "sys.stderr.write(with_priority(None, 'error', 'failed\\nTraceback\\n  File'))"
    )
    assert journaled(sys.executable, "-c", program) == b"<3>failed\n<3>Traceback\n<3>  File"


def test_another_stream_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error isn't the journal, or not any more, lines stay as they are."""
    assert with_priority(None, "error", "a\nb") == "a\nb"
    monkeypatch.setenv("JOURNAL_STREAM", "not:numbers")
    assert prefix("error") == ""
    assert journaled(SCRIPT, "serve", "/nowhere", "--max-age", "soon", matches=False).startswith(b"jwks-server: ")


def test_errors_of_the_command_line() -> None:
    """A wrong setting is an error in the journal."""
    assert journaled(SCRIPT, "serve", "/nowhere", "--max-age", "soon").startswith(b"<3>jwks-server: ")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_log_lines(tmp_path: Path, log_format: str) -> None:
    """A line of the log has its level's priority, also in JSON."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "b.pem").write_bytes(b"")
    flags = ("--bind", "127.0.0.1:0", "--admin-bind", "off", "--log-format", log_format)
    written = journaled(SCRIPT, "serve", str(tmp_path), *flags, until=b"serving").splitlines()
    assert b"stopped" in written[-1]
    assert {line[:3] for line in written} == {b"<3>", b"<6>"}
    assert {line[:3] for line in written if b"file-refused" in line} == {b"<3>"}
    assert {line[:3] for line in written if b"key-published" in line} == {b"<6>"}
