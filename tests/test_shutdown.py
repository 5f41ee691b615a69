"""The shutdown under load: each admitted client gets a whole answer."""

import asyncio
import os
import signal
import socket
import ssl
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from sites import GET
from support import HANG_SECONDS, Running, key, public_pem, serving, tls_flags, trusting

_LAST = GET[:-2] + b"Connection: close\r\n\r\n"


class Clients:
    """Clients that ask until they are told to stop, and count what they were denied.

    Attributes:
        failures: By kind: ``dropped`` is a connection without an answer, ``cut`` one with a part of it.
        answers: How many whole ones there were.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self.tls = tls
        self.failures: Counter[str] = Counter()
        self.answers = 0
        self.news = asyncio.Event()

    async def _whole(self, reader: asyncio.StreamReader, kind: str) -> bool:
        """Read an answer; tell whether the connection goes on."""
        head = b""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            self.failures[f"{kind}: {'cut' if head or getattr(exc, 'partial', b'') else 'dropped'}"] += 1
            return False
        self.answers += 1
        self.news.set()
        return b"\r\nConnection: close\r\n" not in head

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        with suppress(ConnectionRefusedError):
            return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        return None

    async def more(self, answers: int) -> None:
        """Wait for some more answers."""
        goal = self.answers + answers
        while self.answers < goal:
            self.news.clear()
            await self.news.wait()

    async def fresh(self) -> None:
        """Ask on a new connection each time, until connections are refused."""
        while connection := await self._connect():
            reader, writer = connection
            writer.write(_LAST)
            await self._whole(reader, "fresh")
            writer.close()

    async def kept(self) -> None:
        """Ask on one connection, until told that it closes; then on the next."""
        while connection := await self._connect():
            reader, writer = connection
            writer.write(GET)
            while await self._whole(reader, "kept"):
                writer.write(GET)
            writer.close()

    async def half(self, moment: asyncio.Event) -> None:
        """Send a part of a request, and the rest only after a moment of the server's end."""
        connection = await self._connect()
        assert connection is not None
        reader, writer = connection
        writer.write(_LAST[:30])
        await moment.wait()
        writer.write(_LAST[30:])
        await self._whole(reader, "half")
        writer.close()


@pytest.mark.parametrize(
    ("flags", "tls"),
    [
        ((), False),
        (("--drain", "0.5"), False),
        (("--loop", "asyncio"), False),
        (("--no-response-cache",), False),
        ((), True),
        (("--loop", "asyncio"), True),
    ],
)
async def test_every_client_is_answered(tmp_path: Path, flags: tuple[str, ...], tls: bool) -> None:
    """Fresh, kept and half-sent requests all get whole answers through three SIGHUPs and a SIGTERM."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(keys, *flags, *(tls_flags(tmp_path / "tls") if tls else ())) as server:
        clients = Clients(server.port, trusting() if tls else None)
        told, stopping, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        async with asyncio.timeout(HANG_SECONDS), asyncio.TaskGroup() as tasks:
            fresh = [tasks.create_task(clients.fresh()) for _ in range(8)]
            for _ in range(8):
                tasks.create_task(clients.kept())
            for moment in (told, stopping, closed):
                tasks.create_task(clients.half(moment))
            for _ in range(3):
                await clients.more(50)
                server.process.send_signal(signal.SIGHUP)
            await clients.more(50)
            server.process.send_signal(signal.SIGTERM)
            told.set()
            await server.log("stopping")
            stopping.set()
            await asyncio.wait(fresh)  # they end when a new connection is refused
            closed.set()
            assert await server.end() == 0
        assert clients.failures == {}


async def ready(server: Running) -> int:
    """Ask whether it is ready."""
    url = f"http://127.0.0.1:{server.admin}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status


async def test_drain(tmp_path: Path) -> None:
    """While draining the server is not ready, yet answers new connections, each with its end."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--drain", "1") as server:
        assert await ready(server) == 200
        server.process.send_signal(signal.SIGTERM)
        await server.log("stopping")
        assert await ready(server) == 503
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        assert b"\r\nConnection: close\r\n" in await reader.read()
        writer.close()
        assert await server.end() == 0


async def test_grace_is_kept(tmp_path: Path) -> None:
    """A client that never finishes its request doesn't keep the process from ending."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--shutdown-timeout", "0.5") as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(GET[:20])
            await ready(server)
            server.process.send_signal(signal.SIGTERM)
            assert await server.end() == 0


async def test_signals_at_the_very_end(tmp_path: Path) -> None:
    """However many signals come while the process ends, it ends well."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        ended = asyncio.create_task(server.process.wait())
        while not ended.done():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                with suppress(ProcessLookupError):
                    os.kill(server.process.pid, number)  # Popen's own would take the exit code from the event loop
            await asyncio.wait({ended}, timeout=0.001)
        assert await server.end() == 0


async def test_queue_beyond_the_descriptors(tmp_path: Path) -> None:
    """At the end the kernel's queue is taken in, though there are fewer descriptors than connections in it."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, through=("sh", "-c", 'ulimit -n 150 && exec "$@"', "sh")) as server:
        server.process.send_signal(signal.SIGSTOP)
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=HANG_SECONDS) for _ in range(300)]
        for client in clients:
            client.sendall(_LAST)
        server.process.terminate()
        server.process.send_signal(signal.SIGCONT)
        for client in clients:
            assert (await asyncio.to_thread(client.recv, 12)) == b"HTTP/1.1 200"
            client.close()
        assert await server.end() == 0
