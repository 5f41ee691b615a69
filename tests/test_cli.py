"""The console entry."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import HANG_SECONDS, PASSPHRASE, SCRIPT, Running, key, private_pem, public_pem, raw, run
from writers import replace

from jwks_server import __version__
from jwks_server.cli import cli


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (["serve", "--bind", "nowhere", "x"], "--bind nowhere"),
        (["serve", "--no-such-flag", "x"], "--no-such-flag"),
        (["serve", "--max-age", "soon", "x"], "--max-age"),
        (["serve", "--max-age", "-1", "x"], "--max-age"),
        (["serve", "--kid", "random", "x"], "--kid"),
        (["serve", "--rsa-alg", "HS256", "x"], "--rsa-alg"),
        (["serve", "--allow", "X25519", "x"], "--allow"),
        (["serve", "--passphrase-file", "/nonexistent", "x"], "--passphrase-file"),
        (["serve", "--path", "keys", "x"], "--path keys"),
        (["serve", "--rescan", "0", "x"], "--rescan"),
        (["serve", "--rescan", "nan", "x"], "--rescan"),
        (["serve", "--bind", ".:80", "x"], "--bind .:80"),
        (["serve", ""], "DIR"),
        (["serve"], "DIR"),
        (["serve", "x", "y"], "y"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_usage(arguments: list[str], mentions: str) -> None:
    """A wrong flag or value is one line that names it, with its code, and exit code 2."""
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"jwks-server: .* \[config-invalid\]\n", done.stderr)
    assert mentions in done.stderr


def test_wrong_variable() -> None:
    """The same for an environment variable."""
    done = run("serve", "x", JWKS_SERVER_MAX_AGE="soon")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "soon" in done.stderr


def test_version_and_help() -> None:
    """--version and --help print and succeed; without a command the help is an error."""
    assert run("--version").stdout == f"jwks-server, version {__version__}\n"
    assert "serve" in run("--help").stdout
    done = run()
    assert done.returncode == 2
    assert "serve" in done.stderr


def test_every_option_has_its_variable() -> None:
    """Each flag can be set by JWKS_SERVER_ and its name."""
    options = [one for one in cli.commands["serve"].params if one.param_type_name == "option"]
    assert len(options) > 10
    for option in options:
        assert option.envvar == "JWKS_SERVER_" + option.opts[0].removeprefix("--").replace("-", "_").upper()


def test_help_names_every_option() -> None:
    """The help shows each flag with its default and its variable."""
    output = CliRunner().invoke(cli, ["serve", "--help"]).output
    for option in cli.commands["serve"].params:
        assert option.opts[0] in output or option.param_type_name == "argument"
    assert "JWKS_SERVER_BIND" in output
    assert "127.0.0.1:8080" in output


async def test_everything_by_variables(tmp_path: Path) -> None:
    """The server starts from environment variables alone, repeatable ones split at spaces."""
    (tmp_path / "a.key").write_bytes(public_pem(key("RSA")))
    (tmp_path / "b.pub").write_bytes(public_pem(key("Ed448")))
    environment = {
        "JWKS_SERVER_DIR": str(tmp_path),
        "JWKS_SERVER_BIND": "127.0.0.1:0 127.0.0.2:0",
        "JWKS_SERVER_PATTERN": "*.key *.pub",
        "JWKS_SERVER_ALLOW": "Ed448 secp256k1",
        "JWKS_SERVER_RSA_ALG": "PS512",
        "JWKS_SERVER_KID": "filename",
        "JWKS_SERVER_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        SCRIPT, "serve", stderr=asyncio.subprocess.PIPE, env={**os.environ, **environment}
    )
    server = Running(process)
    await server.log("key-published", file="a.key", kid="a", alg="PS512")
    await server.log("key-published", file="b.pub", kid="b", alg="EdDSA")
    await server.log("listening")
    assert (await server.log("listening"))["address"].startswith("127.0.0.2:")
    process.terminate()
    assert await server.end() == 0


async def test_console_logs_are_lines_for_people(tmp_path: Path) -> None:
    """The default log format is not JSON, and names event, file and kid."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "serve", str(tmp_path), "--bind", "127.0.0.1:0"), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(HANG_SECONDS):
        assert b"starting" in await process.stderr.readline()
        line = (await process.stderr.readline()).decode()
        process.terminate()
        await process.communicate()
    assert "key-published" in line
    assert "file=a.pem" in line
    assert not line.startswith("{")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_early_signals(tmp_path: Path, number: signal.Signals) -> None:
    """A signal during the imports ends the program cleanly, or, as SIGHUP, not at all; never with a traceback."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    program = (
        "import builtins, jwks_server.__main__ as entry, sys\n"
        "real = builtins.__import__\n"
        "def slow(name, *rest, **more):\n"
        "    if name == 'jwks_server' and not hasattr(slow, 'told'):\n"
        "        slow.told = True; print('importing', flush=True); sys.stdin.readline()\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = slow\n"
        f"sys.argv = ['jwks-server', 'serve', {str(tmp_path)!r}, '--bind', '127.0.0.1:0']\n"
        "entry.main()\n"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stderr is not None
    async with asyncio.timeout(HANG_SECONDS):
        await process.stdout.readline()
        process.send_signal(number)
        if number is signal.SIGHUP:
            process.stdin.write(b"\n")
            assert b"starting" in await process.stderr.readline()
            assert b"key-published" in await process.stderr.readline()
            process.terminate()
        _, stderr = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in stderr


async def test_names_can_not_steer_the_terminal(tmp_path: Path) -> None:
    """Control characters in a file's name are escaped in the log."""
    (tmp_path / "\x1b[31mred.pem").write_bytes(public_pem(key("RSA")))
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "serve", str(tmp_path), "--bind", "127.0.0.1:0"), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(HANG_SECONDS):
        assert b"starting" in await process.stderr.readline()
        line = await process.stderr.readline()
        process.terminate()
        await process.communicate()
    assert b"key-published" in line
    assert b"\x1b" not in line


def test_python_parser_is_refused(tmp_path: Path) -> None:
    """With aiohttp's parser in Python, which lets far more through, the server doesn't start."""
    done = run("serve", str(tmp_path), AIOHTTP_NO_EXTENSIONS="1")
    assert (done.returncode, done.stderr.splitlines()[-1].split()[-1]) == (1, "[parser-missing]")


@pytest.mark.parametrize("name", sorted(set(cli.commands) - {"serve"}))
def test_every_command_tells_how_it_is_called(name: str) -> None:
    """Each command has a help text of its own, with its exit codes."""
    output = CliRunner().invoke(cli, [name, "--help"], prog_name="jwks-server").output
    assert output.startswith(f"Usage: jwks-server {name} ")
    assert "\nExit codes:\n  0  " in output


# Each would be memory and a later first answer, and serving uses none of them.
_NOT_FOR_SERVING = {
    *("aiohttp.client", "aiohttp.connector", "joserfc", "prometheus_client", "pygments", "rich.console"),
    *("jwks_server.commands.check", "jwks_server.remote.client", "jwks_server.serving.metrics"),
}


async def test_serving_costs_no_other_command_s_imports(tmp_path: Path) -> None:
    """A server that starts, answers and stops loads nothing that only other commands, or scrapes, need."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    program = (
        "import atexit, sys; from jwks_server.__main__ import main; atexit.register(lambda: print(*sys.modules)); "
        f"sys.argv[1:] = ['serve', {str(tmp_path)!r}, '--bind', '127.0.0.1:0', '--log-format', 'json']; main()"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=pipe, stderr=pipe)
    assert process.stderr is not None
    async with asyncio.timeout(HANG_SECONDS):
        while b'"public"' not in (line := await process.stderr.readline()):
            assert line
        port = int(json.loads(line)["address"].rpartition(":")[2])
        last = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert (await raw(port, last)).startswith(b"HTTP/1.1 200 ")
        process.terminate()
        stdout, _ = await process.communicate()
    assert process.returncode == 0
    loaded = set(stdout.decode().split())
    assert loaded >= {"aiohttp.web", "jwks_server.service", "structlog"}
    assert not loaded & _NOT_FOR_SERVING


def test_passphrase_from_a_pipe(tmp_path: Path) -> None:
    """A passphrase that can be read only once is read once, and keeps opening the keys."""
    (tmp_path / "a.pem").write_bytes(private_pem(key("P-256"), encrypted=True))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [SCRIPT, "serve", str(tmp_path), "--bind", "127.0.0.1:0", "--passphrase-file", str(fifo), "--rescan", "0.02"],
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr is not None
            fifo.write_bytes(PASSPHRASE)
            assert b"starting" in process.stderr.readline()
            assert b"key-published" in process.stderr.readline()
            replace(tmp_path / "b.pem", private_pem(key("P-384"), encrypted=True), temporary="tmp")
            while b"b.pem" not in (line := process.stderr.readline()):
                assert line
            assert b"key-published" in line
            process.terminate()
            assert b"refused" not in process.stderr.read()
            assert process.wait(HANG_SECONDS) == 0
        finally:
            process.kill()  # else a failure would wait for the process
