"""What a client is promised in moments that are hard to hit, each made to last by a client or a handler that waits."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web
from sites import GET, PATH, Site, read_reply, site, statuses
from support import HANG_SECONDS, certificate_pem, certify, key, private_pem, public_pem, serving

from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import render
from jwks_server.serving.public import application

LAST = GET[:-2] + b"Connection: close\r\n\r\n"
# More than the kernel's buffers and the transport's take.
LARGE = 32 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Slow:
    """A handler that waits, and the site that it answers at."""

    site: Site
    begun: asyncio.Event
    go_on: asyncio.Event


@asynccontextmanager
async def slow(max_connections: int = 100) -> AsyncIterator[Slow]:
    """Serve an application whose answers wait until they may go on."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="whole")

    app = web.Application()
    app.router.add_get(PATH, handler)
    async with site(Catalog(), app=app, max_connections=max_connections) as here:
        yield Slow(here, begun, go_on)


@asynccontextmanager
async def stuck(here: Site) -> AsyncIterator[asyncio.StreamReader]:
    """Ask on a connection that takes in the head of the answer, and no more until its reader is read from."""
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.setblocking(False)
        await asyncio.get_running_loop().sock_connect(lazy, ("127.0.0.1", here.port))
        reader, writer = await asyncio.open_connection(sock=lazy, limit=4096)
        writer.write(GET)
        assert statuses(await reader.readuntil(b"\r\n\r\n")) == [200]
        yield reader
        writer.close()


def labelled(entry: Entry, body: bytes) -> Entry:
    """Make an entry that is answered with a body of the test's own."""
    return replace(entry, pages={PATH: render(body, Freshness(300), "application/json")})


async def test_answer_that_was_overtaken_is_not_learned(entry: Entry) -> None:
    """An answer made from an edition that is no longer current is given to nobody else."""
    catalog = Catalog()
    catalog.publish({"/": labelled(entry, b"old")})
    app, begun, go_on = application(catalog, PATH), asyncio.Event(), asyncio.Event()

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        reply = await handler(request)
        begun.set()
        await go_on.wait()
        return reply

    app.middlewares.append(wait)
    async with asyncio.timeout(HANG_SECONDS), site(catalog, app=app) as here:
        overtaken, first = await here.connect()
        first.write(GET)
        await begun.wait()
        catalog.publish({"/": labelled(entry, b"new")})
        go_on.set()
        assert (await read_reply(overtaken)).endswith(b"old")
        first.write(GET)
        assert (await read_reply(overtaken)).endswith(b"new")
        reader, second = await here.connect()
        second.write(GET)
        assert (await read_reply(reader)).endswith(b"new")
        first.close()
        second.close()


async def test_client_amid_its_answer_is_not_evicted() -> None:
    """A connection whose answer is being made keeps its place at the ceiling; the newcomer is turned away."""
    async with asyncio.timeout(HANG_SECONDS), slow(max_connections=1) as here:
        reader, writer = await here.site.connect()
        writer.write(LAST)
        await here.begun.wait()
        assert await here.site.say() == b""
        here.go_on.set()
        assert (await reader.read()).endswith(b"\r\n\r\nwhole")
        assert (here.site.traffic.evicted, here.site.traffic.refused) == (0, 1)
        writer.close()


@pytest.mark.parametrize("known", [True, False])
async def test_client_that_still_reads_its_answer_is_not_evicted(entry: Entry, *, known: bool) -> None:
    """Nor is one evicted whose answer has not been sent in full, from memory or not."""
    catalog = Catalog()
    catalog.publish({"/": labelled(entry, b"x" * LARGE)})
    async with asyncio.timeout(HANG_SECONDS), site(catalog, max_connections=1) as here:
        if known:
            before, writer = await here.connect()
            writer.write(GET)
            await read_reply(before)
            writer.close()
            await here.emptied()
        async with stuck(here) as reader:
            assert await here.say() == b""
            assert await reader.readexactly(LARGE) == b"x" * LARGE
        assert (here.traffic.evicted, here.traffic.refused) == (0, 1)


async def test_half_closed_client_gets_its_answer() -> None:
    """A client that closes its sending side while its answer is being made gets it whole; then the server closes."""
    async with asyncio.timeout(HANG_SECONDS), slow() as here:
        reader, writer = await here.site.connect()
        writer.write(GET)
        await here.begun.wait()
        writer.write_eof()
        # The end is seen once a request that was sent after it has begun.
        here.begun.clear()
        other, second = await here.site.connect()
        second.write(GET)
        await here.begun.wait()
        here.go_on.set()
        assert (await reader.read()).endswith(b"\r\n\r\nwhole")
        assert (await read_reply(other)).endswith(b"whole")
        writer.close()
        second.close()


async def test_head_that_the_parser_refuses_has_no_body(catalog: Catalog) -> None:
    """The answer to HEAD has no body, even where aiohttp's parser is what refuses the request."""
    request = b"HEAD " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key1: a\r\n\r\n"
    async with site(catalog) as here:
        for writes in ((request,), (GET, request)):
            reply = await here.say(*writes)
            assert statuses(reply)[-1] == 400
            assert reply.endswith(b"\r\n\r\n")
        assert here.traffic.bad_requests == {"parser": 2}


async def test_no_connection_begins_once_the_end_has(catalog: Catalog) -> None:
    """At the end new connections are left unanswered until they are refused; those let in before get an answer."""
    stack, answers = AsyncExitStack(), []
    here = await stack.enter_async_context(site(catalog))
    async with asyncio.timeout(HANG_SECONDS):
        ending = asyncio.create_task(stack.aclose())
        while True:
            client = socket.socket()
            client.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", here.port))
            except ConnectionRefusedError:
                sent_again = retransmissions(client)
                client.close()
                break
            answers.append(asyncio.create_task(last(client)))
            await asyncio.sleep(0)
        assert sent_again > 0
        for answer in answers:
            assert statuses(await answer) == [200]
        await ending


async def last(client: socket.socket) -> bytes:
    """Ask on a connection, and read all that comes."""
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(LAST)
    reply = await reader.read()
    writer.close()
    return reply


def retransmissions(client: socket.socket) -> int:
    """Ask the kernel how often something was sent again: the first packet, where nothing answered it."""
    at = 100  # of tcpi_total_retrans in struct tcp_info
    (count,) = struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, at + 4), at)
    return int(count)


def install(folder: Path, certificate: int, private: int) -> None:
    """Put a certificate and a key in place that may not belong together."""
    for name, data in (
        ("tls.pem", certificate_pem(certify(key("P-256", certificate), name="localhost"))),
        ("tls.key", private_pem(key("P-256", private))),
    ):
        (folder / f"{name}.new").write_bytes(data)
        (folder / f"{name}.new").rename(folder / name)


async def test_each_bad_pair_is_told(tmp_path: Path) -> None:
    """A certificate that is bad again, after a good one, is logged again."""
    keys, files = tmp_path / "keys", tmp_path / "tls"
    keys.mkdir()
    files.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    install(files, 0, 0)
    pair = ("--tls-cert", str(files / "tls.pem"), "--tls-key", str(files / "tls.key"))
    async with serving(keys, *pair) as server:
        for _ in range(2):
            (files / "tls.key").write_bytes(private_pem(key("P-256", 1)))
            await server.log("tls-failed", code="tls-invalid")
            (files / "tls.key").write_bytes(private_pem(key("P-256", 0)))
            await server.log("tls-reloaded")
