"""Completion in a real shell, on a terminal of its own."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import HANG_SECONDS, SCRIPT

ENVIRONMENT = {"PATH": f"{Path(SCRIPT).parent}:/usr/bin:/bin", "TERM": "dumb", "HOME": "/nonexistent", "LC_ALL": "C"}


class Shell:
    """A bash with the completion, in a directory."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._shown = b""

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._terminal, text.encode())

    def wait(self, text: str) -> None:
        """Wait until the terminal shows a text; forget what stands before it."""
        deadline = time.monotonic() + HANG_SECONDS
        while text.encode() not in self._shown:
            assert select.select([self._terminal], [], [], deadline - time.monotonic())[0], self._shown
            self._shown += os.read(self._terminal, 4096)
        self._shown = self._shown.partition(text.encode())[2]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Start bash in a directory with a folder and a file."""
    (tmp_path / "keys with space").mkdir()
    (tmp_path / "keys.pem").write_text("")
    (tmp_path / "token.txt").write_text("")
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [bash, "--norc", "--noprofile", "-i"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        one = Shell(ours)
        one.type("bind 'set enable-bracketed-paste off'; eval \"$(jwks-server completion bash)\"; PS1=ready'> '\n")
        one.wait("\nready> ")
        yield one
        process.kill()
    os.close(ours)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("check ke", "check keys\\ with\\ space/"),
        ("diff ke", "diff keys\\ with\\ space/"),
        ("serve --log-level info ke", "keys\\ with\\ space/"),
        ("verify token ke", "keys\\ with\\ space/"),
        ("verify token https://a.example ke", "keys\\ with\\ space/"),
        ("render --out ke", "keys\\ with\\ space/"),
        ("kid tok", "token.txt "),
        ("inspect tok", "token.txt "),
        ("check --passphrase-file tok", "token.txt "),
        ("che", "check "),
    ],
)
def test_bash_completes_places(shell: Shell, typed: str, completed: str) -> None:
    """Folders complete for DIR, SOURCE and --out, files for FILE, and commands as before."""
    shell.type(f"jwks-server {typed}\t")
    shell.wait(completed)


@pytest.mark.parametrize("typed", ["diff keys.pem htt", "wait kid htt"])
def test_bash_leaves_a_url_alone(shell: Shell, typed: str) -> None:
    """Where a URL is expected, the shell adds nothing."""
    shell.type(f"jwks-server {typed}\t\x01printf '<%s>' \n")  # Ctrl-A: it becomes an argument of another command
    shell.wait(f"<{typed.rpartition(' ')[2]}>")
