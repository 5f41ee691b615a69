"""healthcheck through the console."""

import asyncio
import subprocess
import sys
from contextlib import suppress
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
    assert (f"is not ready: {status}" in done.stderr) == (code == 1)


@pytest.mark.parametrize("keys", [0, 1])
async def test_a_running_server(tmp_path: Path, keys: int) -> None:
    """A server with a set is ready, and one without isn't."""
    for number in range(keys):
        (tmp_path / f"{number}.pem").write_bytes(public_pem(key("P-256")))
    async with serving(tmp_path) as server:
        url = f"http://127.0.0.1:{server.admin}/readyz"
        done = await asyncio.to_thread(run, "healthcheck", "--url", url)
    assert done.returncode == 1 - keys


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0", ""])  # noqa: S104 - as in a container
async def test_where_the_server_was_told_to_listen(bind: str) -> None:
    """Without --url the server's own variable says where it is; every address of the machine is also its own."""
    async with answering(b"") as url:
        where = f"{bind}:{url.split(':')[2].partition('/')[0]}"
        done = await asyncio.to_thread(run, "healthcheck", JWKS_SERVER_ADMIN_BIND=where)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("bind", ["[::]:1", "[::1]:1"])
def test_where_the_server_was_told_to_listen_in_ipv6(bind: str) -> None:
    """The same for IPv6."""
    done = run("healthcheck", JWKS_SERVER_ADMIN_BIND=bind)
    assert (done.returncode, "http://[::1]:1/readyz is not ready" in done.stderr) == (1, True)


async def test_url_by_its_variable() -> None:
    """Like every option of the server, the URL has a variable; it is stronger than where the server listens."""
    async with answering(b"", 204) as url:
        done = await asyncio.to_thread(run, "healthcheck", JWKS_SERVER_URL=url, JWKS_SERVER_ADMIN_BIND="off")
    assert (done.returncode, f"{url} is not ready: 204" in done.stderr) == (1, True)


@pytest.mark.parametrize("bind", ["off", "unix:/run/admin.sock", "fd:3", "127.0.0.1:0", "nonsense"])
def test_nowhere_to_ask(bind: str) -> None:
    """Where the variable names nothing that HTTP can ask, --url is asked for."""
    done = run("healthcheck", JWKS_SERVER_ADMIN_BIND=bind)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert (bind in done.stderr, "[config-invalid]" in done.stderr) == (True, True)


def test_nobody_there() -> None:
    """A refused connection is not ready, not a wrong call: Docker reserves exit code 2."""
    done = run("healthcheck", "--url", "http://127.0.0.1:1/readyz")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


async def _read_all(reader: asyncio.StreamReader) -> None:
    """Read until the client has gone."""
    with suppress(ConnectionError):
        await reader.read()


@pytest.mark.parametrize("drip", [False, True])
async def test_in_time(*, drip: bool) -> None:
    """A server that is silent, or sends a byte now and then for ever, isn't ready."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            gone = asyncio.create_task(_read_all(reader))
            while drip and not gone.done():
                writer.write(b"A: b\r\n")
                await writer.drain()
                await asyncio.wait({gone}, timeout=0.1)
            await gone
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
