"""Limits and deadlines over real sockets."""

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from sites import GET, PATH, Site, read_reply, statuses
from sites import site as any_site
from support import HANG_SECONDS, certificate_pem, certify, key, private_pem

from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import render
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.connection import HttpConnection
from jwks_server.serving.exchange import State

Keys = Catalog
Serve = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture(params=["plain", "tls"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Serve without TLS and with it."""
    if request.param == "plain":
        return any_site
    private = key("P-256")
    (tmp_path / "tls.pem").write_bytes(certificate_pem(certify(private, name="localhost")))
    (tmp_path / "tls.key").write_bytes(private_pem(private))
    return partial(any_site, certificate=Certificate(str(tmp_path / "tls.pem"), str(tmp_path / "tls.key")))


BEGUN = GET[:-4]
LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def request(*fields: bytes, line: bytes = b"GET /.well-known/jwks.json HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """Write a request's head."""
    return b"\r\n".join((line, host, *fields, b"", b""))


async def test_head_deadline(site: Serve, catalog: Keys) -> None:
    """A head that has begun and doesn't end gets a 408, whether it is the connection's first or a later one."""
    async with site(catalog, head_timeout=0.1) as here:
        for writes in ((BEGUN,), (GET, BEGUN)):
            reply = await here.say(*writes)
            assert statuses(reply)[-1] == 408
            assert json.loads(reply.rpartition(b"\r\n\r\n")[2])["code"] == "request-timeout"
        assert here.traffic.timed_out == {"head": 2}


async def test_trickle_does_not_move_the_deadline(site: Serve, catalog: Keys) -> None:
    """A client that sends a byte now and then gets its 408 all the same."""
    async with site(catalog, head_timeout=0.2) as here:
        reader, writer = await here.connect()
        answer = asyncio.create_task(reader.read())
        async with asyncio.timeout(HANG_SECONDS):
            writer.write(BEGUN + b"\r\nX: ")
            while not answer.done():
                writer.write(b"a")
                await asyncio.wait({answer}, timeout=0.01)
        assert statuses(answer.result()) == [408]
        writer.close()


async def test_silence(site: Serve, catalog: Keys) -> None:
    """A connection on which nothing ever came is closed without a word; one that was answered waits longer."""
    async with site(catalog, head_timeout=0.1, idle_timeout=0.3) as here:
        assert await here.say() == b""
        assert statuses(await here.say(GET)) == [200]
        assert here.traffic.timed_out == {"idle": 2}


async def test_used_connection_stays(site: Serve, catalog: Keys) -> None:
    """A connection that is used outlives any number of idle deadlines."""
    async with site(catalog, idle_timeout=0.1) as here:
        reader, writer = await here.connect()
        silent = asyncio.create_task(here.say(GET))
        while not silent.done():
            writer.write(GET)
            await read_reply(reader)
            await asyncio.sleep(0)
        writer.write(LAST)
        assert statuses(await reader.read()) == [200]
        writer.close()


@pytest.mark.parametrize("cached", [True, False])
async def test_body_is_not_read(site: Serve, catalog: Keys, cached: bool) -> None:
    """A request with a body is answered at once and is the last; what comes of the body is thrown away."""
    post = request(b"Content-Length: 100000000", line=b"POST /.well-known/jwks.json HTTP/1.1")
    async with site(catalog, cached=cached, body_timeout=0.1) as here:
        reader, writer = await here.connect()
        writer.write(post)
        reply = await reader.read()
        assert statuses(reply) == [405]
        assert b"\r\nConnection: close\r\n" in reply
        await here.emptied()
        # Over TLS this client closes the connection when the server has closed its side.
        assert here.traffic.timed_out == ({} if here.tls else {"body": 1})
        writer.close()


async def test_endless_body(site: Serve, catalog: Keys) -> None:
    """A client that goes on sending gets its reply, and is cut off after so many bytes."""
    post = request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.1")
    async with site(catalog, max_body=100_000) as here:
        reader, writer = await here.connect()
        writer.write(post)
        assert statuses(await read_reply(reader)) == [404]
        with pytest.raises(ConnectionError):
            await _send_until_cut(writer, b"1\r\na\r\n" * 1000)
        assert not here.traffic.timed_out


async def test_requests_behind_a_body_are_not_answered(site: Serve, catalog: Keys) -> None:
    """What follows a body may be anything, so nothing there is taken for a request."""
    async with site(catalog) as here:
        assert statuses(await here.say(request(b"Content-Length: 5") + b"hello" + GET, half_close=True)) == [200]


async def test_large_heads(site: Serve, catalog: Keys) -> None:
    """More bytes or fields than allowed are a 431, whole or not; as many as allowed are not."""
    async with site(catalog, max_head=1000, max_fields=10) as here:
        fits = request(b"X: " + b"x" * (1000 - len(request(b"X: "))))
        assert len(fits) == 1000
        assert statuses(await here.say(fits, LAST)) == [200, 200]
        for large in (
            request(b"X: " + b"x" * (1001 - len(request(b"X: ")))),
            b"GET /" + b"x" * 997,
            request(*[b"X: y"] * 10),
        ):
            reply = await here.say(large)
            assert statuses(reply) == [431]
            assert json.loads(reply.rpartition(b"\r\n\r\n")[2])["code"] == "head-too-large"
        assert statuses(await here.say(request(*[b"X: y"] * 9), LAST)) == [200, 200]
        assert here.traffic.bad_requests == {"head-too-large": 3}


async def test_reader_that_does_not_read(catalog: Keys) -> None:
    """A client that leaves its replies unread is cut; one that reads them slowly is not."""
    async with any_site(catalog, write_timeout=0.2) as here:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", here.port))
            _, writer = await asyncio.open_connection(sock=lazy, limit=1)
            with pytest.raises(ConnectionError):
                await _send_until_cut(writer, GET * 100)
        assert here.traffic.timed_out == {"write": 1}


async def _send_until_cut(writer: asyncio.StreamWriter, data: bytes) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)


REFUSED = [
    ("host", b"Host: a b", 400),
    ("host", b"Host:", 400),
    ("host", b"Host: a/b", 400),
    ("host", b"Host: a:x", 400),
    ("host", b"Host: a:70000", 400),
    ("host", b"Host: [::1", 400),
    ("host", b"Host: [g::1]", 400),
    ("host", b"Host: u@a", 400),
    ("host", b"Host: a\r\nHost: a", 400),
    ("host", b"X: no host", 400),
    ("transfer-encoding", b"Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", 400),
    ("transfer-encoding", b"Host: a\r\nTransfer-Encoding: gzip, chunked", 400),
    ("transfer-encoding", b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    ("content-length", b"Host: a\r\nContent-Length: 5\r\nContent-Length: 5", 400),
    ("content-length", b"Host: a\r\nContent-Length: +5", 400),
    ("content-length", b"Host: a\r\nContent-Length: " + b"0" * 5000, 400),
    ("field", b"Host: a\r\nX : y", 400),
    ("field", b"Host: a\r\nX: y\r\n z", 400),
    ("field", b"Host: a\r\nX: \x01", 400),
    ("field", b"Host: a\r\nX", 400),
]


@pytest.mark.parametrize(("reason", "fields", "status"), REFUSED)
async def test_refused_fields(site: Serve, catalog: Keys, reason: str, fields: bytes, status: int) -> None:
    """What a careful server refuses is refused with a problem document, and counted by what is wrong with it."""
    async with site(catalog) as here:
        for writes in ((request(host=fields),), (GET, request(host=fields) + GET)):
            reply = await here.say(*writes)
            assert statuses(reply) == [200] * (len(writes) - 1) + [status]
            assert b"\r\nConnection: close\r\n" in reply
            assert b"Server:" not in reply
            assert json.loads(reply.rpartition(b"\r\n\r\n")[2])["status"] == status
        assert here.traffic.bad_requests == {reason: 2}


@pytest.mark.parametrize(
    ("reason", "line", "status"),
    [
        ("version-unsupported", b"GET / HTTP/2.0", 505),
        ("version-unsupported", b"PRI * HTTP/2.0", 505),
        ("version-unsupported", b"GET / HTTP/1.2", 505),
        ("version-unsupported", b"GET / HTTP/3", 505),
        ("request-line", b"GET / HTTP/11.1", 400),
        ("request-line", b"GET /#a HTTP/1.1", 400),
        ("request-line", b"GET /a b HTTP/1.1", 400),
        ("request-line", b"GET /\xc3\xa4 HTTP/1.1", 400),
        ("request-line", b"GET /a\x00 HTTP/1.1", 400),
        ("request-line", b"GET  / HTTP/1.1", 400),
        ("request-line", b" GET / HTTP/1.1", 400),
        ("request-line", b"G(T / HTTP/1.1", 400),
        ("request-line", b"GET / http/1.1", 400),
        ("request-line", b"GET /", 400),
        ("request-line", b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
async def test_refused_lines(site: Serve, catalog: Keys, reason: str, line: bytes, status: int) -> None:
    """The same for request lines, and for data that is not one."""
    async with site(catalog) as here:
        assert statuses(await here.say(request(line=line))) == [status]
        assert here.traffic.bad_requests == {reason: 1}


async def test_transfer_encoding_in_http_1_0(site: Serve, catalog: Keys) -> None:
    """HTTP/1.0 knows no Transfer-Encoding; it needs no Host."""
    async with site(catalog) as here:
        old = b"GET /.well-known/jwks.json HTTP/1.0"
        assert statuses(await here.say(request(b"Transfer-Encoding: chunked", line=old))) == [400]
        assert statuses(await here.say(old + b"\r\n\r\n")) == [200]


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\nHost: a\n\n", b"GET /\r\r\n"])
async def test_hopeless_beginnings(site: Serve, catalog: Keys, garbage: bytes) -> None:
    """What can't become a head is refused at once, though it has no end."""
    async with site(catalog) as here:
        assert statuses(await here.say(garbage)) == [400]


async def test_good_requests_before_a_bad_one(site: Serve, catalog: Keys) -> None:
    """Requests that came whole before garbage, even in the same packet, get their answers first."""
    async with site(catalog) as here:
        for _ in range(2):  # cold and warm
            assert statuses(await here.say(GET * 40 + b"\x00\r\n\r\n")) == [200] * 40 + [400]


@pytest.mark.parametrize("cached", [True, False])
async def test_half_closed_clients(site: Serve, catalog: Keys, cached: bool) -> None:
    """A client that closes its sending side gets every answer to what it sent."""
    async with site(catalog, cached=cached) as here:
        for _ in range(2):
            assert statuses(await here.say(GET, half_close=True)) == [200]
            assert statuses(await here.say(GET * 100, half_close=True)) == [200] * 100
            assert await here.say(BEGUN, half_close=True) == b""


@pytest.mark.parametrize("field", [b"Upgrade: h2c", b"Upgrade: websocket"])
async def test_upgrade(site: Serve, catalog: Keys, field: bytes) -> None:
    """A client that asks for another protocol is answered in this one, and the connection ends."""
    async with site(catalog) as here:
        reply = await here.say(request(b"Connection: Upgrade", field) + b"\x00\x01")
        assert statuses(reply) == [200]
        assert b"\r\nConnection: close\r\n" in reply


async def test_ceiling(site: Serve, catalog: Keys) -> None:
    """At the ceiling those go first that never completed a request, oldest first; then the longest idle."""
    async with site(catalog, max_connections=4) as here:
        used = [await here.connect() for _ in range(2)]
        for reader, writer in used:
            writer.write(GET)
            await read_reply(reader)
        silent = [await here.connect() for _ in range(2)]
        async with asyncio.timeout(HANG_SECONDS):
            while len(here.connections) < 4:
                await asyncio.sleep(0)
        first = await here.connect()
        assert await silent[0][0].read() == b""
        for reader, writer in (*used, first):
            writer.write(GET)
            assert statuses(await read_reply(reader)) == [200]
        second = await here.connect()
        assert await silent[1][0].read() == b""
        second[1].write(GET)
        await read_reply(second[0])
        here.connections.time += 1  # the clock of deadlines is a coarse one
        for reader, writer in (*used[1:], first, second):
            writer.write(GET)
            await read_reply(reader)
        third = await here.connect()
        assert await used[0][0].read() == b""
        third[1].write(GET)
        assert statuses(await read_reply(third[0])) == [200]
        assert (here.traffic.evicted, here.traffic.refused) == (3, 0)
        for _, writer in (*used, *silent, first, second, third):
            writer.close()


async def test_every_answer_is_counted(site: Serve, catalog: Keys) -> None:
    """Answers are counted by status and way, those from the cache too."""
    async with site(catalog) as here:
        await here.say(GET, GET, GET, LAST)
        await here.say(b"nonsense\r\n\r\n")
        here.connections.find_response(b"")  # nothing has changed, so nothing is forgotten
        assert here.traffic.accepted == 2
        here.connections.count()
        assert sum(here.traffic.answers.values()) == 5
        assert here.traffic.answers[400, "application"] == 1
        assert here.traffic.answers[200, "cache"] >= 2


async def test_draining(site: Serve, catalog: Keys) -> None:
    """Once draining, each answer is its connection's last, from the cache or not."""
    async with site(catalog) as here:
        reader, writer = await here.connect()
        writer.write(GET + GET)
        await read_reply(reader)
        await read_reply(reader)
        here.connections.drain()
        writer.write(GET + GET)
        reply = await reader.read()
        assert statuses(reply) == [200]
        assert b"\r\nConnection: close\r\n" in reply
        writer.close()
        assert b"\r\nConnection: close\r\n" in await here.say(GET)


async def test_line_ends_alone_move_no_deadline(site: Serve, catalog: Keys) -> None:
    """A client that sends only empty lines is closed like a silent one."""
    async with site(catalog, head_timeout=0.2, idle_timeout=0.2) as here:
        for first in (b"", GET):
            reader, writer = await here.connect()
            writer.write(first)
            over = asyncio.create_task(reader.read())
            async with asyncio.timeout(HANG_SECONDS):
                while not over.done():
                    writer.write(b"\r\n")
                    await asyncio.wait({over}, timeout=0.02)
            writer.close()
        assert here.traffic.timed_out == {"idle": 2}


async def test_small_reply_that_is_not_read(catalog: Keys) -> None:
    """What the kernel has no room for is waited for as long as much more of it would be, and counted once."""
    async with any_site(catalog, write_timeout=0.3, idle_timeout=60) as here:
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", here.port))
            lazy.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(HANG_SECONDS):
                while not here.traffic.timed_out:
                    if not any(one.evictable is False for one in here.connections.open):  # nothing is unsent yet
                        with suppress(ConnectionError):
                            await loop.sock_sendall(lazy, GET)
                    await asyncio.sleep(0.001)
        assert here.traffic.timed_out == {"write": 1}


@pytest.mark.parametrize(
    "refused", [b"HEAD / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/2.0\r\n\r\n", b"HEAD foo HTTP/1.1\r\nHost: a\r\n\r\n"]
)
async def test_refused_head_has_no_body(site: Serve, catalog: Keys, refused: bytes) -> None:
    """Not even a refusal gives HEAD a body."""
    async with site(catalog) as here:
        reply = await here.say(refused)
        assert statuses(reply)[0] in {400, 505}
        assert reply.endswith(b"\r\n\r\n")


async def test_burst_at_the_ceiling(catalog: Keys) -> None:
    """In a burst the newest stay: the last client is served."""
    async with any_site(catalog, max_connections=5) as here:
        silent = [socket.create_connection(("127.0.0.1", here.port)) for _ in range(30)]
        assert statuses(await here.say(LAST)) == [200]
        assert here.traffic.refused == 0
        assert here.traffic.evicted >= 25
        for one in silent:
            one.close()


async def test_burst_after_a_publication_is_counted(site: Serve, catalog: Keys) -> None:
    """Many clients that ask the same new thing at once are all counted."""
    async with site(catalog) as here:
        connections = [await here.connect() for _ in range(60)]
        asked = request(b"X-New: 1")
        for _ in range(5):
            for _, writer in connections:
                writer.write(asked * 4)
            for reader, _ in connections:
                for _ in range(4):
                    await read_reply(reader)
        here.connections.count()
        assert sum(here.traffic.answers.values()) == 60 * 5 * 4
        for _, writer in connections:
            writer.close()


async def test_a_timeout_is_counted_once(site: Serve, catalog: Keys) -> None:
    """A client that stays after its 408 is cut in the end, and counted for the head alone."""
    async with site(catalog, head_timeout=0.1, body_timeout=0.1) as here:
        reader, writer = await here.connect()
        writer.write(BEGUN)
        assert statuses(await reader.read()) == [408]
        await here.emptied()
        assert here.traffic.timed_out == {"head": 1}
        writer.close()


async def test_what_follows_a_known_request_is_not_swallowed(site: Serve, catalog: Keys) -> None:
    """A field that is ignored within a request is a bad request line after one, and refused as soon as it ends."""
    async with site(catalog) as here:
        for _ in range(2):
            reply = await here.say(GET + b"Via: x\r\n", half_close=True)
            assert statuses(reply) == [200, 400]
        reader, writer = await here.connect()
        writer.write(GET + b"Via: x")
        assert statuses(await read_reply(reader)) == [200]
        writer.write(b"\r\n")
        assert statuses(await reader.read()) == [400]
        writer.close()


async def test_clients_that_vanish_amid_a_head(catalog: Keys) -> None:
    """Connections that are reset as their deadline comes cost the others nothing."""
    # The good client has the same deadline, and a crowd before it.
    async with any_site(catalog, head_timeout=0.5) as here:
        for _ in range(3):
            crowd = [socket.create_connection(("127.0.0.1", here.port)) for _ in range(200)]
            for one in crowd:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.sendall(BEGUN)
            async with asyncio.timeout(HANG_SECONDS):
                while not here.traffic.timed_out:
                    await asyncio.sleep(0.001)
            for one in crowd:
                one.close()
            assert statuses(await here.say(LAST)) == [200]
            here.traffic.timed_out.clear()


LARGE = b"x" * 4_700_000


@pytest.fixture
def large(entry: Entry) -> Keys:
    """Publish a page that no kernel takes at once."""
    catalog = Catalog()
    page = render(LARGE, Freshness(300), "application/json")
    catalog.publish({"/": Entry(entry.keyset, {PATH: page})})
    return catalog


async def _read_slowly(here: Site, size: int, pause: float, *writes: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    received = bytearray()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        slow.connect(("127.0.0.1", here.port))
        slow.setblocking(False)
        for data in writes:
            await loop.sock_sendall(slow, data)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(HANG_SECONDS):
            while data := await loop.sock_recv(slow, size):
                received += data
                await asyncio.sleep(pause)
    return bytes(received)


@pytest.mark.parametrize("cached", [True, False])
async def test_large_reply_with_an_empty_line_after_its_request(large: Keys, cached: bool) -> None:
    """What a client sends after its last request doesn't reset the connection while the reply is on its way."""
    async with any_site(large, cached=cached, body_timeout=0.2) as here:
        for _ in range(2):
            reply = await _read_slowly(here, 1 << 18, 0.02, LAST, b"\r\n")
            assert reply.partition(b"\r\n\r\n")[2] == LARGE
            assert (await here.say(LAST, b"\r\n")).partition(b"\r\n\r\n")[2] == LARGE


async def test_steady_slow_reader(large: Keys) -> None:
    """A client that reads slowly and steadily is not cut, though the reply takes many times the deadline."""
    async with any_site(large, write_timeout=0.4) as here:
        reply = await _read_slowly(here, 1 << 16, 0.02, LAST)
        assert reply.partition(b"\r\n\r\n")[2] == LARGE
        assert not here.traffic.timed_out


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_timed_out_head_has_no_body_for_head(site: Serve, catalog: Keys, method: bytes) -> None:
    """A 408 to HEAD has no body, and the length of the one to GET."""
    async with site(catalog, head_timeout=0.1) as here:
        head, _, body = (await here.say(method + b" / HTTP/1.1\r\nHost: a\r\n")).partition(b"\r\n\r\n")
        assert statuses(head) == [408]
        (length,) = re.findall(rb"Content-Length: (\d+)", head)
        assert int(length) > 0
        assert len(body) == (int(length) if method == b"GET" else 0)


async def test_late_tick(site: Serve, catalog: Keys) -> None:
    """After a pause of the process the deadlines begin again: what arrived meanwhile is read first."""
    async with site(catalog, head_timeout=1, idle_timeout=1) as here:
        connections = [await here.connect() for _ in range(20)]
        for number, (_, writer) in enumerate(connections):
            writer.write(LAST[: 10 * (number % 2)])
        await asyncio.sleep(0.05)
        for number, (_, writer) in enumerate(connections):
            writer.write(LAST[10 * (number % 2) :])
        time.sleep(1.5)
        for reader, writer in connections:
            assert statuses(await reader.read()) == [200]
            writer.close()


@pytest.mark.parametrize("size", [16_382, 16_383, 16_384])
async def test_large_heads_in_two_parts(site: Serve, catalog: Keys, size: int) -> None:
    """A head within the limit is a head, however it is cut; one byte more is not."""
    one = LAST[:-2] + b"X: " + b"x" * (size - len(LAST) - 5) + b"\r\n\r\n"
    assert len(one) == size
    async with site(catalog) as here:
        for at in (1, 100, size - 5, size - 4, size - 3, size - 2, size - 1):
            reader, writer = await here.connect()
            writer.write(one[:at])
            await asyncio.sleep(0.01)
            writer.write(one[at:])
            assert statuses(await reader.read()) == [200]
            writer.close()
    async with site(catalog, max_head=size - 1) as here:
        for at in (size, size - 5, size - 4, size - 1):
            assert statuses(await here.say(one[:at], one[at:])) == [431]


async def test_large_replies_one_after_the_other(site: Serve, large: Keys) -> None:
    """Replies larger than any buffer arrive whole and in order, though the client reads late."""
    async with site(large) as here:
        reader, writer = await here.connect()
        writer.write(GET + GET + LAST)
        await asyncio.sleep(0.2)
        for _ in range(2):
            assert (await read_reply(reader)).partition(b"\r\n\r\n")[2] == LARGE
        async with asyncio.timeout(HANG_SECONDS):
            assert (await reader.read()).partition(b"\r\n\r\n")[2] == LARGE
        writer.close()
        assert not here.traffic.timed_out


async def test_a_long_response_has_its_whole_write_deadline() -> None:
    """However long a response has gone on, the deadline counts from when its client stopped reading; none is kept."""
    ready, go = asyncio.Event(), asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        ready.set()
        await go.wait()
        with suppress(ConnectionError):
            await response.write(b"x" * 2**24)
        return response

    app = web.Application()
    app.router.add_get("/", stream)
    async with any_site(Catalog(), app=app, cached=False, write_timeout=1000) as here:
        with socket.create_connection(("127.0.0.1", here.port)) as lazy:
            lazy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await ready.wait()
            (one,) = here.connections.open
            assert isinstance(one, HttpConnection)
            one.since -= 5000
            go.set()
            while one.state is not State.STALLED:
                await asyncio.sleep(0)
            one.expire()
            assert here.traffic.timed_out == {}
            one.since -= 5000
            one.expire()
            assert here.traffic.timed_out == {"write": 1}
            assert one._recorder  # noqa: SLF001 - memory
            assert one._recorder.end() == b""  # noqa: SLF001
