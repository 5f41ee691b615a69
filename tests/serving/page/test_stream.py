"""Event streams: who may have one, what they say, and how they end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from sites import Site, statuses
from sites import site as any_site
from status_pages import program
from support import HANG_SECONDS

from jwks_server.errors import PolicyInvalid
from jwks_server.published.catalog import Catalog
from jwks_server.serving import admin
from jwks_server.serving.page import stream
from jwks_server.serving.page.stream import MAX_STREAMS
from jwks_server.serving.page.view import View
from jwks_server.serving.status import Reported

EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Open(SimpleNamespace):
    """A listener with the page, and what moves it."""

    site: Site
    reported: Reported
    stopping: asyncio.Event


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often, so that nobody waits."""
    monkeypatch.setattr(stream, "_LOOK_SECONDS", 0.005)


@asynccontextmanager
async def page(**limits: Any) -> AsyncIterator[Open]:
    """Serve the page of a program."""
    reported, stopping = program(), asyncio.Event()
    app = admin.application(reported, stopping=stopping)
    async with any_site(Catalog(), app=app, cached=False, **limits) as here:
        yield Open(site=here, reported=reported, stopping=stopping)


async def until(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
    """Read until something came."""
    async with asyncio.timeout(HANG_SECONDS):
        return await reader.readuntil(wanted)


async def begun(here: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream, and read all sections as they are now."""
    reader, writer = await here.connect()
    writer.write(EVENTS)
    await until(reader, b'<div id="issuers"')
    return reader, writer


async def test_all_sections_then_what_is_new() -> None:
    """A stream begins with everything, and goes on with the sections that changed and no others."""
    async with page() as here:
        reader, writer = await here.site.connect()
        writer.write(EVENTS)
        head = await until(reader, b"\r\n\r\n")
        assert b"HTTP/1.1 200 OK" in head
        assert b"Content-Type: text/event-stream" in head
        assert b"Cache-Control: no-store" in head
        assert b"Connection: close" in head
        assert b"Server:" not in head
        await until(reader, b'<div id="issuers"')
        here.reported.reloads.last = 1.0, "event", "published"
        told = await until(reader, b"</section>\n\n")
        assert told.count(b"event: section") == 1
        assert b'data: <section id="state"' in told
        writer.close()


async def test_quiet_stream_shows_who_has_left() -> None:
    """When nothing changes a comment is sent now and then, so that a client that has left is noticed."""
    async with page() as here:
        reader, writer = await begun(here.site)
        await until(reader, b"\n:\n\n")
        writer.close()
        await here.site.emptied()


async def test_at_most_so_many() -> None:
    """One more client is refused and told when to ask again; when one leaves there is a place."""
    async with page() as here:
        streams = [await begun(here.site) for _ in range(MAX_STREAMS)]
        refused = await here.site.say(EVENTS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert statuses(refused) == [503]
        assert b"\r\nRetry-After: 10\r\n" in refused
        assert b"streams-busy" in refused
        assert statuses(await here.site.say(b"GET / HTTP/1.0\r\n\r\n")) == [200]
        streams.pop()[1].close()
        async with asyncio.timeout(HANG_SECONDS):
            while statuses(await _first_line(here.site)) == [503]:
                await asyncio.sleep(0.01)
        for _, writer in streams:
            writer.close()


async def _first_line(here: Site) -> bytes:
    """Ask for a stream, and leave again."""
    reader, writer = await here.connect()
    writer.write(EVENTS)
    line = await reader.readline()
    writer.close()
    return line


async def test_stop() -> None:
    """When the server stops each stream says so and ends, and no other one begins."""
    async with page() as here:
        reader, writer = await begun(here.site)
        here.stopping.set()
        async with asyncio.timeout(HANG_SECONDS):
            rest = await reader.read()
        assert b"event: stopping\n" in rest
        assert rest.endswith(b"0\r\n\r\n")
        writer.close()
        assert statuses(await here.site.say(EVENTS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) == [503]


async def test_head() -> None:
    """HEAD gets the fields and no stream."""
    async with page() as here:
        reply = await here.site.say(EVENTS.replace(b"GET", b"HEAD").replace(b"1.1", b"1.0"))
        assert reply.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"text/event-stream" in reply
        assert reply.endswith(b"\r\n\r\n")


async def test_nothing_is_computed_without_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is computed while a stream is open, and not afterwards."""
    looks, over = 0, asyncio.Event()
    sections, answer = View.sections, stream.Streams.answer

    async def counted(self: View, *arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return await sections(self, *arguments)

    async def noted(self: stream.Streams, *arguments: Any) -> Any:
        try:
            return await answer(self, *arguments)
        finally:
            over.set()

    monkeypatch.setattr(View, "sections", counted)
    monkeypatch.setattr(stream.Streams, "answer", noted)
    async with page() as here:
        _, writer = await begun(here.site)
        writer.close()
        async with asyncio.timeout(HANG_SECONDS):
            await over.wait()
        seen = looks
        assert seen
        await asyncio.sleep(0.05)  # ten looks of a stream
        assert looks == seen


async def test_reader_that_does_not_read() -> None:
    """A client that reads nothing is cut at the write deadline, and its place is free again."""
    async with page(write_timeout=0.3) as here:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", here.site.port))
            lazy.sendall(EVENTS)
            number = 0
            async with asyncio.timeout(HANG_SECONDS):
                while not here.site.traffic.timed_out:
                    number += 1
                    here.reported.reloads.faults = {"/": (PolicyInvalid(f"{number} " + "x" * 100_000),)}
                    await asyncio.sleep(0.005)
        assert here.site.traffic.timed_out == {"write": 1}
        await here.site.emptied()
        async with aiohttp.ClientSession() as session:
            urls = f"http://127.0.0.1:{here.site.port}/events"
            replies = [await session.get(urls) for _ in range(MAX_STREAMS)]
            assert [one.status for one in replies] == [200] * MAX_STREAMS
            for one in replies:
                one.close()
