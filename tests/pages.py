"""The pages of the documentation: their blocks, and a shell that runs the commands in them as a reader would.

A block that is run has ``<!-- run -->`` on the line before it. In it, ``$ `` begins a command; the lines below it, as
far as a here-document goes, belong to it, and the rest is what it prints. ``...`` stands for any lines.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from support import HANG_SECONDS, ROOT

_MARKED = re.compile(r"^( *)<!-- run -->\n+ *```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# What differs from run to run: kids, ETags, tokens and members of keys; times; dates in header fields.
_VARIES = re.compile(
    r"[A-Za-z0-9_-]{22,}(?:\.[A-Za-z0-9_-]{22,})*"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z?"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
)
_HERE = re.compile(r"<<'?(\w+)'?")
_END = "=== the command has ended: "
# What a page calls 8080 to 8083 is a free port in the test, so that pages can run side by side.
_PORTS = tuple(range(8080, 8084))


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, and the lines that it prints according to the page."""

    command: str
    printed: tuple[str, ...]


def steps(page: str) -> list[Step]:
    """List the commands of a page's marked blocks, in their order."""
    return [step for indent, block in _MARKED.findall(page) for step in _steps(block, len(indent))]


def _steps(block: str, indent: int) -> Iterator[Step]:
    lines = [line[indent:] if line.startswith(" " * indent) else line for line in block.splitlines()]
    assert lines[0].startswith("$ "), f"a block that is run begins with a command: {lines[0]}"
    while lines:
        command = [lines.pop(0).removeprefix("$ ")]
        while command[-1].endswith("\\"):
            command.append(lines.pop(0))
        if here := _HERE.search(command[0]):
            while command[-1] != here[1]:
                command.append(lines.pop(0))
        printed = []
        while lines and not lines[0].startswith("$ "):
            printed.append(lines.pop(0))
        yield Step("\n".join(command), tuple(printed))


def expected(printed: tuple[str, ...]) -> re.Pattern[str]:
    """Write what a page shows as a pattern, in which what differs from run to run may differ."""
    return re.compile("".join(r"(?:.*\n)*" if line == "..." else _line(line) for line in printed) + r"\Z")


def _line(line: str) -> str:
    """Allow other values, and columns of another width."""
    parts = re.split(f"({_VARIES.pattern})", line.rstrip())
    return (
        "".join(
            f"(?:{_VARIES.pattern})" if place % 2 else re.sub(r"(?:\\ ){2,}", " +", re.escape(part))
            for place, part in enumerate(parts)
        )
        + r" *\n"
    )


@dataclass
class Reader:
    """A reader at a shell in an empty folder. The package that is tested is installed, and nothing else is."""

    folder: Path
    _ports: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)
    _servers: int = 0

    def __enter__(self) -> Self:
        """Choose the ports, and start the shell."""
        with ExitStack() as reserved:
            sockets = [reserved.enter_context(socket.socket()) for _ in _PORTS]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            self._ports = {str(page): str(one.getsockname()[1]) for page, one in zip(_PORTS, sockets, strict=True)}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("JWKS_SERVER_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "JWKS_SERVER_BIND": f"127.0.0.1:{self._ports['8080']}",
            "JWKS_SERVER_ADMIN_BIND": f"127.0.0.1:{self._ports['8081']}",
        }
        self._shell = self._stack.enter_context(
            subprocess.Popen(
                ["/bin/bash", "--norc"],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        hung = threading.Timer(4 * HANG_SECONDS, os.killpg, (self._shell.pid, signal.SIGKILL))
        hung.start()
        self._stack.callback(hung.cancel)
        return self

    def __exit__(self, *_: object) -> None:
        """End the servers and the shell."""
        with self._stack:
            assert self._shell.stdin is not None
            self._shell.stdin.write("kill $(jobs -p) 2>/dev/null; wait; exit\n")
            self._shell.stdin.close()

    def run(self, step: Step) -> None:
        """Run a command, and compare what it prints. A server gets a terminal of its own, where it stays."""
        if re.match(r"(\w+=\S+ )*jwks-server serve ", step.command):
            self._serve(step.command)
            return
        printed, code = self._do(step.command)
        page = "\n".join(step.printed)
        assert expected(step.printed).match(printed), f"$ {step.command}\n{printed}--- the page has:\n{page}"
        assert step.printed or code == 0, f"$ {step.command}\nexit code {code}"

    def _do(self, command: str) -> tuple[str, int]:
        """Run a command in the shell to its end; give what it printed, and its exit code."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{self._own(command)}\ncode=$?; echo; echo '{_END}'$code\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(_END):
                # `echo` ended the last line, or added an empty one.
                printed = "".join(lines if not lines or lines[-1] != "\n" else lines[:-1])
                return self._shown(printed), int(line.removeprefix(_END))
            lines.append(line)
        raise AssertionError(f"the shell ended at: {command}\n{''.join(lines)}")

    def _serve(self, command: str) -> None:
        """Start a server, and wait until its port answers."""
        self._servers += 1
        log = self.folder.parent / f"{self.folder.name}-server-{self._servers}.log"
        self._do(f"{command} > {log} 2>&1 &")
        bound = re.search(r"--bind \S+:(\d+)", command)
        port = int(self._ports[bound[1] if bound else "8080"])
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert self._do("jobs -r")[0].strip(), log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"nothing answers at port {port}: {log.read_text()}")

    def _own(self, command: str) -> str:
        return re.sub(r"\b80(8[0-3])\b", lambda found: self._ports[found[0]], command)

    def _shown(self, text: str) -> str:
        for page, own in self._ports.items():
            text = re.sub(rf"\b{own}\b", page, text)
        return text


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """Sit down at a shell in an empty folder."""
    folder.mkdir()
    with Reader(folder) as reader:
        yield reader


def pages() -> dict[str, str]:
    """Read each page that is written by hand for people, by its path in the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
    return {str(one.relative_to(ROOT)): one.read_text() for one in sorted(found)}
