"""The running program among clients that mean it no good."""

import asyncio
import gzip
import re
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from polling import polling
from sites import GET, read_reply, statuses
from support import HANG_SECONDS, ROOT, Running, key, public_pem, serving, tls_flags, trusting

_LAST = GET[:-2] + b"Connection: close\r\n\r\n"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a directory with one key."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    return keys


@asynccontextmanager
async def served(keys: Path, *, tls: bool, through: tuple[str, ...] = ()) -> AsyncIterator[Running]:
    """Serve the keys, over TLS or without."""
    async with serving(keys, *(tls_flags(keys.parent / "tls") if tls else ()), through=through) as server:
        server.tls = trusting() if tls else None
        yield server


def limited(descriptors: int) -> tuple[str, ...]:
    """Run a program with so many descriptors."""
    return ("sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh")


def resident(server: Running) -> float:
    """Read a server's resident memory, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def metric(server: Running, name: str) -> float:
    """Read a metric, all its samples added up."""
    url = f"http://127.0.0.1:{server.admin}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        text = await reply.text()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))


@asynccontextmanager
async def swarm(server: Running, processes: int, each: int) -> AsyncIterator[None]:
    """Open slow connections from other processes, until the block ends."""
    command = sys.executable, str(ROOT / "tests" / "swarm.py"), str(server.port), str(each)
    running = [
        await asyncio.create_subprocess_exec(*command, *(["tls"] if server.tls else []), stdout=asyncio.subprocess.PIPE)
        for _ in range(processes)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"begun\n"
        yield
    finally:
        for process in running:
            process.kill()
            await process.communicate()


async def ask_anew(server: Running, times: int) -> None:
    """Ask on a new connection each time; every one is answered."""
    for _ in range(times):
        async with asyncio.timeout(HANG_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=server.tls)
            writer.write(_LAST)
            assert statuses(await reader.read()) == [200]
            writer.close()


@pytest.mark.parametrize(("descriptors", "slow", "tls"), [(256, 500, False), (1024, 2000, False), (160, 120, True)])
async def test_slow_clients(keys: Path, descriptors: int, slow: int, tls: bool) -> None:
    """Far more slow clients than there are descriptors; who polls, kept or anew, gets every answer, and keys follow."""
    async with served(keys, tls=tls, through=limited(descriptors)) as server:
        before = resident(server)
        async with polling(server) as judge, swarm(server, 4, slow // 4):
            async with asyncio.timeout(HANG_SECONDS):
                while await metric(server, "jwks_server_connections_evicted_total") < slow / 2:
                    await ask_anew(server, 5)
            await judge.more(500)
            (keys / "b.pem").write_bytes(public_pem(key("P-256")))
            await server.log("key-published", file="b.pem")
            await ask_anew(server, 50)
        async with asyncio.timeout(HANG_SECONDS):
            while await metric(server, "jwks_server_connections_open") > 0:
                pass
        assert resident(server) < before + 30
        assert await metric(server, "jwks_server_connections_refused_total") == 0


@pytest.mark.parametrize("tls", [False, True])
async def test_out_of_descriptors(keys: Path, tls: bool) -> None:
    """Without a descriptor left, kept connections are answered, the log stays short; one more, and all is well."""
    async with served(keys, tls=tls) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=server.tls)
        writer.write(GET)
        await read_reply(reader)
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
        crowd = []
        for _ in range(200):
            with suppress(OSError):
                crowd.append(await asyncio.open_connection("127.0.0.1", server.port))
        for _ in range(200):
            writer.write(GET)
            assert statuses(await read_reply(reader)) == [200]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        await ask_anew(server, 20)
        for _, one in crowd:
            one.close()
        writer.close()
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
    assert len(server.logs) < 20


async def test_large_compressed_body(keys: Path) -> None:
    """A bomb of a body is answered without being read, while others are served as ever."""
    bomb = gzip.compress(bytes(300_000_000), compresslevel=9)
    head = (
        b"POST /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        % len(bomb)
    )
    async with serving(keys) as server, polling(server) as judge:
        before = resident(server)
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(head + bomb)
            assert statuses(await read_reply(reader)) == [405]
            writer.close()
        await judge.more(100)
        assert resident(server) < before + 30


@pytest.mark.parametrize("tls", [False, True])
async def test_pipelining_does_not_starve_others(keys: Path, tls: bool) -> None:
    """While one client's 50,000 requests are answered, all in order, others get many answers."""
    number = 50_000
    async with served(keys, tls=tls) as server, polling(server, pollers=1) as judge:
        before = resident(server)
        begun = sum(judge.seen.values())
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**20, ssl=server.tls)
        writer.write(GET * (number - 1) + _LAST)
        received = 0
        async with asyncio.timeout(HANG_SECONDS * 2):
            while data := await reader.read(2**20):
                received += data.count(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        assert abs(received - number) <= number / 1000  # a status line may be cut in two by a read
        assert sum(judge.seen.values()) - begun > 100
        assert resident(server) < before + 60
