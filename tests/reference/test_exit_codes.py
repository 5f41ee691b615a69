"""docs/reference/exit-codes.md: each exit code of each command is one that the command really ends with."""

import asyncio
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from reference.commands import COMMANDS, ended
from reference.tables import page, tables
from support import HANG_SECONDS, SCRIPT, Running, key, public_pem, serving, sign, thumbprint

PAGE = page("exit-codes")
# Where no other test is about it: tests/test_service.py has those of serve.
ELSEWHERE = {("serve", 0), ("serve", 1)}
Call = Callable[[Path, Running], Sequence[str]]
RSA, OTHER = key("RSA"), key("RSA", 1)


def keys(folder: Path, _server: Running) -> Sequence[str]:
    """Name the key directory."""
    return (str(folder / "keys"),)


CALLS: dict[tuple[str, int], Call] = {
    ("check", 0): keys,
    ("check", 1): lambda folder, _: (str(folder / "bad"),),
    ("check", 2): lambda folder, _: (str(folder / "missing"),),
    ("completion", 0): lambda *_: ("bash",),
    ("completion", 2): lambda *_: ("powershell",),
    ("diff", 0): lambda folder, server: (str(folder / "keys"), server.url),
    ("diff", 1): lambda folder, server: (str(folder / "other"), server.url),
    ("diff", 2): lambda folder, server: (str(folder / "keys"), server.url.replace("jwks", "nothing")),
    ("healthcheck", 0): lambda _, server: ("--url", f"http://127.0.0.1:{server.admin}/readyz", "--timeout", "60"),
    ("healthcheck", 1): lambda _, server: ("--url", f"http://127.0.0.1:{server.admin}/nothing", "--timeout", "60"),
    ("healthcheck", 2): lambda *_: ("--url", "ftp://127.0.0.1"),
    ("inspect", 0): lambda folder, _: (str(folder / "keys" / "a.pem"),),
    ("inspect", 1): lambda folder, _: (str(folder / "bad" / "a.pem"),),
    ("inspect", 2): lambda folder, _: (str(folder / "missing"),),
    ("kid", 0): lambda folder, _: (str(folder / "keys" / "a.pem"),),
    ("kid", 1): lambda folder, _: (str(folder / "bad" / "a.pem"),),
    ("kid", 2): lambda folder, _: (str(folder / "missing"),),
    ("render", 0): lambda folder, _: (str(folder / "keys"), "--out", str(folder / "out")),
    ("render", 1): lambda folder, _: (str(folder / "bad"), "--out", str(folder / "out")),
    ("render", 2): lambda folder, _: (str(folder / "missing"), "--out", str(folder / "out")),
    ("serve", 2): lambda folder, _: (str(folder / "keys"), "--bind", "nonsense"),
    ("verify", 0): lambda folder, server: (sign(RSA, "RS256", thumbprint(RSA)), str(folder / "keys"), server.url),
    ("verify", 1): lambda folder, _: (sign(OTHER, "RS256", thumbprint(OTHER)), str(folder / "keys")),
    ("verify", 2): lambda folder, _: ("nonsense", str(folder / "keys")),
    ("version", 0): lambda *_: (),
    ("version", 2): lambda *_: ("--nonsense",),
    ("wait", 0): lambda _, server: (thumbprint(RSA), server.url),
    ("wait", 1): lambda _, server: (thumbprint(OTHER), server.url, "--timeout", "0.1"),
    ("wait", 2): lambda *_: ("a", "nonsense"),
}


async def test_every_exit_code(tmp_path: Path) -> None:
    """Each command ends with each code that is documented for it, and no other is documented."""
    documented = {(name, code) for name, command in COMMANDS.items() for code in command.exits}
    assert documented == CALLS.keys() | ELSEWHERE
    for folder, data in (("keys", public_pem(RSA)), ("other", public_pem(OTHER)), ("bad", b"nonsense")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.pem").write_bytes(data)
    async with serving(tmp_path / "keys") as server:
        for (name, code), arguments in CALLS.items():
            assert await asyncio.to_thread(ended, name, *arguments(tmp_path, server)) == code, name


def test_codes_of_every_command(tmp_path: Path) -> None:
    """What is the same for every command: help, no command, and output that can't be written, as in the example.

    tests/test_wrong_usage_processes.py and tests/commands/test_wait.py have the codes that end a process from outside.
    """
    assert (ended(), ended("--version"), ended("check", "--help")) == (2, 0, 0)
    assert [row[0] for row in tables(PAGE, "Exit codes")[-1]] == ["0", "2", "130", "141", "143"]
    (message,) = re.findall(r"^jwks-server: .+\[output-unusable\]\n", PAGE, re.MULTILINE)
    (tmp_path / "a.pem").write_bytes(public_pem(RSA))
    command = f"{shlex.quote(SCRIPT)} check {shlex.quote(str(tmp_path))} >/dev/full"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)  # noqa: S602 - the shell opens /dev/full
    assert (done.returncode, done.stderr) == (2, message)
