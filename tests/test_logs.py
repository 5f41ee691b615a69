"""Log lines on standard error, from a process of its own, and lines at most once in a while."""

import json
import subprocess
import sys
import time

import pytest
import structlog
from structlog.testing import capture_logs
from support import HANG_SECONDS

from jwks_server.logs import Seldom

PROGRAM = """
import sys, logging, warnings, structlog
from jwks_server.logs import logging_to_stderr
log = structlog.get_logger("x")
with logging_to_stderr(sys.argv[1], sys.argv[2]):
    log.debug("quiet")
    log.info("shown", file="a\\nb\\x1b[31m.pem", number=5)
    logging.getLogger("library").warning("from a library")
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("library").exception("failed")
"""


def written(log_format: str, log_level: str) -> str:
    """Run a program that logs, and read its standard error."""
    arguments = [sys.executable, "-c", PROGRAM, log_format, log_level]
    done = subprocess.run(arguments, capture_output=True, timeout=HANG_SECONDS, check=True)
    assert done.stdout == b""
    return done.stderr.decode()


def test_json() -> None:
    """Each line is one JSON object with its event, level and time; values are escaped; debug lines are left out."""
    lines = [json.loads(line) for line in written("json", "info").splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("shown", "info"),
        ("from a library", "warning"),
        ("failed", "error"),
    ]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["number"] == 5
    assert lines[0]["file"].isprintable()
    assert lines[2]["reason"] == "ValueError"


def test_traceback_only_with_debug() -> None:
    """A traceback is written with --log-level debug alone; the exception's text may be in it."""
    assert "Traceback" not in written("json", "error")
    failed = json.loads(written("json", "debug").splitlines()[-1])
    assert "Traceback" in failed["exception"]


def test_levels() -> None:
    """The level is the lowest that is written."""
    assert [json.loads(line)["event"] for line in written("json", "error").splitlines()] == ["failed"]
    assert json.loads(written("json", "debug").splitlines()[0])["event"] == "quiet"


def test_console() -> None:
    """For people a line is one line of plain text, without colors where it is no terminal."""
    first, *_ = written("console", "info").splitlines()
    assert "shown" in first
    assert "number=5" in first
    assert "\x1b" not in first


def test_reader_that_stops_reading() -> None:
    """A process whose log nobody reads goes on, and ends."""
    program = PROGRAM.replace('log.debug("quiet")', 'for _ in range(12_000): log.info("line", text="x" * 100)')
    arguments = [sys.executable, "-c", program, "json", "info"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as process:
        assert process.wait(HANG_SECONDS) == 0


def test_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of an event is logged, the next only after a while, with the number of those between."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with capture_logs() as lines:
        seldom = Seldom(structlog.get_logger("x"))
        seldom.info("a", number=1)
        for _ in range(3):
            seldom.info("a", number=2)
        seldom.warning("b")
        now += 10.0
        seldom.info("a", number=3)
        now += 10.0
        seldom.error("a", number=4)
    assert lines == [
        {"event": "a", "log_level": "info", "number": 1},
        {"event": "b", "log_level": "warning"},
        {"event": "a", "log_level": "info", "number": 3, "left_out": 3},
        {"event": "a", "log_level": "error", "number": 4},
    ]
