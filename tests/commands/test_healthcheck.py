"""healthcheck through the console."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from edge import answering
from support import HANG_SECONDS, key, public_pem, run, serving


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 1), (301, 1), (503, 1)])
async def test_by_status(status: int, code: int) -> None:
    """Only 200 is ready."""
    async with answering(b"", status, Location="/") as url:
        done = await asyncio.to_thread(run, "healthcheck", "--url", url)
    assert (done.returncode, done.stdout) == (code, "")
    assert ("[not-ready]" in done.stderr) == (code == 1)
    assert (f"says {status}" in done.stderr) == (code == 1)


@pytest.mark.parametrize("keys", [0, 1])
async def test_a_running_server(tmp_path: Path, keys: int) -> None:
    """A server with a set is ready, and one without isn't."""
    for number in range(keys):
        (tmp_path / f"{number}.pem").write_bytes(public_pem(key("P-256")))
    async with serving(tmp_path) as server:
        url = f"http://127.0.0.1:{server.admin}/readyz"
        done = await asyncio.to_thread(run, "healthcheck", "--url", url)
    assert done.returncode == 1 - keys


def test_nobody_there() -> None:
    """A refused connection is not ready, not a wrong call: Docker reserves exit code 2."""
    done = run("healthcheck", "--url", "http://127.0.0.1:1/readyz")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("drip", [False, True])
async def test_in_time(*, drip: bool) -> None:
    """A server that is silent, or sends a byte now and then for ever, isn't ready."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while drip:
                writer.write(b"A: b\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/readyz"
        done = await asyncio.to_thread(run, "healthcheck", "--url", url, "--timeout", "0.5")
    assert done.returncode == 1
    assert "[not-ready]" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "nonsense"],
        ["--url", "https://a/"],
        ["--url", "http://a:99999/"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    """Called wrongly it says so, with exit code 2."""
    done = run("healthcheck", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "[config-invalid]" in done.stderr


def test_imports_little() -> None:
    """It is run every few seconds, so it imports no web framework, no cryptography, no JOSE library."""
    program = (
        "import sys; from jwks_server import __main__\n"
        "sys.argv = ['jwks-server', 'healthcheck', '--url', 'http://127.0.0.1:1/']\n"
        "try: __main__.main()\n"
        "except SystemExit: print(*sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    loaded = set(done.stdout.split())
    assert "http.client" in loaded
    assert not loaded & {"aiohttp", "asyncio", "brotli", "cryptography", "joserfc", "structlog", "watchfiles"}
