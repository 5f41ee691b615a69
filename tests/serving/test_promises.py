"""What a client is promised in moments that are hard to hit, each made to last by a client or a handler that waits."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web
from sites import GET, PATH, Site, read_reply, site, statuses
from support import HANG_SECONDS, certificate_pem, certify, key, private_pem, public_pem, serving

from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.representation import render

LAST = GET[:-2] + b"Connection: close\r\n\r\n"
# More than the kernel's buffers and the transport's take.
LARGE = 32 * 1024 * 1024
SYN_SENT = 2


@dataclass(frozen=True)
class Slow:
    """A handler that waits, and the site that it answers at."""

    site: Site
    begun: asyncio.Event
    go_on: asyncio.Event


@asynccontextmanager
async def slow(**limits: int) -> AsyncIterator[Slow]:
    """Serve an application whose answers wait until they may go on."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="whole")

    app = web.Application()
    app.router.add_get(PATH, handler)
    async with site(Catalog(), app=app, **limits) as here:
        yield Slow(here, begun, go_on)


@asynccontextmanager
async def stuck(here: Site) -> AsyncIterator[asyncio.StreamReader]:
    """Ask on a connection that takes in the head of the answer, and no more until its reader is read from."""
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        await asyncio.get_running_loop().sock_connect(lazy, ("127.0.0.1", here.port))
        reader, writer = await asyncio.open_connection(sock=lazy, limit=4096)
        writer.write(GET)
        assert statuses(await reader.readuntil(b"\r\n\r\n")) == [200]
        yield reader
        writer.close()


def large(entry: Entry, letter: bytes) -> Entry:
    """Make an entry whose answer is too long to be sent in one go."""
    return replace(entry, pages={PATH: render(letter * LARGE, 300, "application/json")})


async def test_answer_that_was_overtaken_is_not_learned(entry: Entry) -> None:
    """An answer made from an edition that is no longer current is given to nobody else."""
    catalog = Catalog()
    catalog.publish({"/": large(entry, b"o")})
    async with asyncio.timeout(HANG_SECONDS), site(catalog) as here, stuck(here) as reader:
        catalog.publish({"/": large(entry, b"n")})
        assert await reader.readexactly(LARGE) == b"o" * LARGE
        for _ in range(2):
            reply = await here.say(LAST)
            assert reply.endswith(b"n" * 100)
            connection, writer = await here.connect()
            writer.write(GET)
            assert (await read_reply(connection)).endswith(b"n" * 100)
            writer.close()


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


async def test_client_that_still_reads_its_answer_is_not_evicted(entry: Entry) -> None:
    """Nor is one evicted whose answer has not been sent in full."""
    catalog = Catalog()
    catalog.publish({"/": large(entry, b"x")})
    async with asyncio.timeout(HANG_SECONDS), site(catalog, max_connections=1) as here, stuck(here) as reader:
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
    request = b"HEAD " + PATH.encode() + b" HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n"
    async with site(catalog) as here:
        for writes in ((request,), (GET, request)):
            reply = await here.say(*writes)
            assert statuses(reply)[-1] == 400
            assert reply.endswith(b"\r\n\r\n")
        assert here.traffic.bad_requests == {"parser": 2}


async def test_no_connection_begins_once_the_end_has(catalog: Catalog) -> None:
    """At the end new connections are left unanswered until they are refused; those let in before get an answer."""
    stack, answers, unanswered = AsyncExitStack(), [], False
    here = await stack.enter_async_context(site(catalog))
    async with asyncio.timeout(HANG_SECONDS):
        ending = asyncio.create_task(stack.aclose())
        while True:
            client = socket.socket()
            client.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            if client.connect_ex(("127.0.0.1", here.port)) == errno.EINPROGRESS:
                unanswered = state(client) == SYN_SENT
                try:
                    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", here.port))
                except ConnectionRefusedError:
                    client.close()
                    break
            answers.append(asyncio.create_task(last(client)))
            await asyncio.sleep(0)
        assert unanswered
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


def state(client: socket.socket) -> int:
    """Ask the kernel for the state of a connection."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


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

