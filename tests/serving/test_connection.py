"""The response cache, compared with the server without it: byte-identical answers but for Date."""

import asyncio
import re
import select
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from fields import FIELDS as ANY_FIELD
from hypothesis import given, settings
from hypothesis import strategies as st
from support import HANG_SECONDS, Running, build, key, public_pem, serving
from writers import replace

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import render

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGET = b"/.well-known/jwks.json"
PEM = public_pem(key("RSA")) + public_pem(key("P-256"))
ETAGS = {
    one.coding: one.etag.encode()
    for one in render(
        build([read_file("a.pem", PEM, None)], Policy()).body, Freshness(300), "application/json"
    ).variants
}
RESET = b"(reset)"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["uvloop", "asyncio"])
async def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, Running]]:
    """Serve the same keys with the response cache and without, on either event loop."""
    directory = tmp_path_factory.mktemp("keys")
    (directory / "a.pem").write_bytes(PEM)
    flags = ("--loop", request.param)
    async with serving(directory, *flags) as cached, serving(directory, *flags, "--no-response-cache") as plain:
        yield cached, plain


def head(*fields: bytes, line: bytes = b"GET " + TARGET + b" HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    """Write a request's head."""
    return b"\r\n".join((line, host, *fields, b"", b""))


def talk(port: int, writes: Sequence[bytes]) -> bytes:
    """Send the writes, each once the answer to the one before has begun or been waited for; read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        try:
            for write in writes:
                connection.sendall(write)
                connection.settimeout(0.004)
                with suppress(TimeoutError):
                    received += connection.recv(1 << 20)
                connection.settimeout(HANG_SECONDS)
            while data := connection.recv(1 << 20):
                received += data
        except (ConnectionResetError, BrokenPipeError):
            received += RESET
    return received


def dateless(reply: bytes) -> bytes:
    """Leave out the values of Date, checking their form."""
    return re.sub(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", b"\r\nDate: *\r\n", reply)


def same(pair: tuple[Running, Running], *writes: bytes) -> bytes:
    """Hold both servers' answers to the same writes against each other.

    A server that closes while more is being sent resets the connection, and what the client has not read by then is
    lost in the kernel: such a conversation is held again, and only what every try shows is a difference.
    """
    for _ in range(4):
        cached, plain = (dateless(talk(server.port, writes)) for server in pair)
        if cached == plain and RESET not in cached:
            break
    if RESET not in cached + plain:
        assert cached == plain
    return cached


CORPUS = {
    "plain": head(),
    "query": head(line=b"GET " + TARGET + b"?a=b HTTP/1.1"),
    "absolute-form": head(line=b"GET http://a" + TARGET + b" HTTP/1.1"),
    "encoded path": head(line=b"GET /%2ewell-known/jwks.json HTTP/1.1"),
    "asterisk": head(line=b"OPTIONS * HTTP/1.1"),
    "head": head(line=b"HEAD " + TARGET + b" HTTP/1.1"),
    "options": head(
        b"Origin: https://x", b"Access-Control-Request-Method: GET", line=b"OPTIONS " + TARGET + b" HTTP/1.1"
    ),
    "post": head(b"Content-Length: 0", line=b"POST " + TARGET + b" HTTP/1.1"),
    "post with body": head(b"Content-Length: 5", line=b"POST " + TARGET + b" HTTP/1.1") + b"hello",
    "post with a request as body": head(b"Content-Length: %d" % len(head()), line=b"POST /x HTTP/1.1") + head(),
    "get with body": head(b"Content-Length: 5") + b"hello",
    "get with a request as body": head(b"Content-Length: %d" % len(head())) + head(),
    "chunked": head(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "chunked head end": head(b"Transfer-Encoding: chunked") + b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
    "content-length and chunked": head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two content-lengths": head(b"Content-Length: 0", b"Content-Length: 5") + b"hello",
    "http/1.0": head(line=b"GET " + TARGET + b" HTTP/1.0"),
    "http/1.0 keep-alive": head(b"Connection: keep-alive", line=b"GET " + TARGET + b" HTTP/1.0"),
    "http/0.9": b"GET " + TARGET + b"\r\n\r\n",
    "http/2.0": head(line=b"GET " + TARGET + b" HTTP/2.0"),
    "close": head(b"Connection: close"),
    "no host": head(host=b"Accept: */*"),
    "two hosts": head(b"Host: b"),
    "upgrade": head(b"Connection: Upgrade", b"Upgrade: h2c"),
    "websocket": head(b"Connection: Upgrade", b"Upgrade: websocket"),
    "connect": head(line=b"CONNECT a:80 HTTP/1.1"),
    "expect": head(b"Expect: 100-continue"),
    "unknown method": head(line=b"FOO " + TARGET + b" HTTP/1.1"),
    "unknown path": head(line=b"GET /x HTTP/1.1"),
    "folded field": head(b"X-Request-ID: a\r\n b"),
    "folded field that counts": head(b"X-Request-ID: a\r\n\tAccept-Encoding: gzip"),
    "bare LF in a field": head(b"X-Request-ID: a\nAccept-Encoding: gzip"),
    "bare CR in a field": head(b"X-Request-ID: a\rAccept-Encoding: gzip"),
    "bare LFs": head().replace(b"\r\n", b"\n"),
    "NUL in a field": head(b"X-Request-ID: a\x00b"),
    "high bytes in a field": head(b"User-Agent: \xff\xfe"),
    "space before colon": head(b"X-Request-ID : a"),
    "no colon": head(b"X-Request-ID"),
    "leading CRLF": b"\r\n" + head(),
    "trailing CRLF": head() + b"\r\n",
    "many fields": head(*[b"Via: x"] * 200),
    "long field": head(b"Via: " + b"x" * 9000),
    "long target": head(line=b"GET " + TARGET + b"?" + b"x" * 9000 + b" HTTP/1.1"),
    "traced": head(b"X-Request-ID: 1", b"traceparent: 00-1-2-01", b"X-Forwarded-For: 1.2.3.4", b"Via: 1.1 x"),
    "traced gzip": head(b"X-Request-ID: 2", b"Accept-Encoding: gzip", b"User-Agent: x"),
    "garbage": b"\x16\x03\x01\x02\x00\r\n\r\n",
    **{
        f"encoding {value!r}": head(b"Accept-Encoding: " + value)
        for value in (b"gzip", b"br", b"*", b"identity;q=0", b"")
    },
    **{f"none-match {coding}": head(b"If-None-Match: " + etag) for coding, etag in ETAGS.items()},
    **{
        f"none-match {coding} coded": head(b"Accept-Encoding: " + coding.encode(), b"If-None-Match: W/" + etag)
        for coding, etag in ETAGS.items()
    },
    "match": head(b"If-Match: " + ETAGS["identity"]),
    "match another": head(b'If-Match: "x"'),
    "range": head(b"Range: bytes=0-1"),
}


@pytest.mark.parametrize("name", CORPUS)
async def test_corpus(pair: tuple[Running, Running], name: str) -> None:
    """Each request alone, cold and warm; thrice on one connection, one after the other and at once; amid others."""
    request = CORPUS[name]
    for _ in range(2):
        same(pair, request, LAST)
    same(pair, request, request, request, LAST)
    same(pair, request * 3 + LAST)
    same(pair, head(), request, head(), LAST)
    same(pair, head() + request + head() + LAST)


@pytest.mark.parametrize("name", ["plain", "traced gzip", "none-match br coded", "get with a request as body"])
async def test_split_at_every_byte(pair: tuple[Running, Running], name: str) -> None:
    """A request cut in two anywhere is the same request, its connection warm before and after."""
    request = CORPUS[name]
    whole = same(pair, head(), request, head(), LAST)
    for at in range(1, len(request)):
        assert same(pair, head(), request[:at], request[at:], head(), LAST) == whole


FIELDS = st.sampled_from(
    [
        *(b"Accept-Encoding: gzip", b"accept-encoding: br;q=0.5", b"Connection: close", b"Connection: keep-alive"),
        *(
            b"X-Request-ID: 1",
            b"X-REQUEST-ID: 2",
            b"X-Forwarded-For: 1.2.3.4, 5.6.7.8",
            b"Via: 1.1 x",
            b"User-Agent: y",
        ),
        *(b"X-Request-ID: a\r\n b", b"X-Request-ID:", b"CF-Ray: \xc3\xa9", b"Forwarded: for=x\x01", b"X-Other: 1"),
        *(b"If-None-Match: " + ETAGS["identity"], b'If-None-Match: "x"', b"If-Match: *", b"Content-Length: 0"),
        *(b"Content-Type: a", b"Content-Type: b", b"Max-Forwards: 1", b"ETag: x", b"Server: y", b"Content-Range: z"),
        *(b"Cookie: a=b", b"Authorization: Bearer x"),  # bodies are the corpus's: one that is cut short is waited for
    ]
)
REQUESTS = st.builds(
    lambda method, target, version, fields: head(*fields, line=b" ".join((method, target, version))),
    st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"OPTIONS", b"POST", b"get"]),
    st.sampled_from([TARGET, TARGET, TARGET, TARGET + b"?x", b"/y"]),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]),
    st.lists(FIELDS, max_size=5),
)


@settings(max_examples=60)
@given(st.lists(REQUESTS, min_size=1, max_size=4), st.data())
async def test_random_conversations(pair: tuple[Running, Running], requests: list[bytes], data: st.DataObject) -> None:
    """Any requests, cut into any pieces, get the same answers."""
    stream = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=4)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    same(pair, *requests, LAST)
    same(pair, *pieces, LAST)


# What announces a body is the corpus's.
STRANGE = ANY_FIELD.filter(
    lambda field: b"\r\n\r\n" not in field and not re.search(rb"(?i)content-length|transfer-encoding", field)
)


@settings(max_examples=150)
@given(st.lists(STRANGE, max_size=3), st.lists(st.sampled_from([b"1", b"2", b"\xff", b"\x01"]), min_size=2, max_size=2))
async def test_no_request_poisons_the_answer_to_another(
    pair: tuple[Running, Running], fields: list[bytes], values: list[bytes]
) -> None:
    """Fields of every kind, before and after plain requests that the cache knows, get the same answers."""
    strange = [head(*fields, b"X-Request-ID: " + value) for value in values]
    same(pair, head(), *strange, LAST)
    same(pair, *strange, head(b"X-Request-ID: 3"), LAST)


async def test_rotation_under_load(tmp_path: Path) -> None:
    """100 connections see each version in order, and none of them an older one once it is published."""
    pems = [public_pem(key("P-256", number)) for number in range(8)]
    order = [read_file("x", pem, None).keys[0].thumbprint.encode() for pem in pems]
    (tmp_path / "a.pem").write_bytes(pems[0])
    async with serving(tmp_path) as server, asyncio.TaskGroup() as tasks:
        published = 0

        async def poll() -> None:
            last = 0
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            while last < len(pems) - 1:
                floor = published
                writer.write(head())
                reply = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", reply)
                assert length is not None
                body = await reader.readexactly(int(length[1]))
                # The keys that left the file stay for a moment, so the newest one tells the version.
                versions = [number for number, kid in enumerate(order) if kid in body]
                version = versions[-1]
                assert versions == list(range(versions[0], version + 1))
                assert version >= max(last, floor)
                last = version
            writer.close()

        for _ in range(100):
            tasks.create_task(poll())
        for number, pem in enumerate(pems[1:], start=1):
            replace(tmp_path / "a.pem", pem, temporary="tmp")
            await server.log("key-published", kid=order[number].decode())
            published = number


@pytest.mark.parametrize("warm", [b"", head(line=b"GET /cold HTTP/1.1")], ids=["cached", "after-aiohttp"])
async def test_client_that_does_not_read(pair: tuple[Running, Running], warm: bytes) -> None:
    """Its requests are no longer read, until it reads the replies; then it gets every one, in order."""
    cached, _ = pair
    request = head(b"X-Other: " + b"x" * 3000)
    talk(cached.port, [request, LAST])
    with socket.create_connection(("127.0.0.1", cached.port), timeout=HANG_SECONDS) as connection:
        connection.sendall(warm)
        assert not warm or select.select([connection], [], [], HANG_SECONDS)[0]
        connection.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while sent < 400_000_000:
                sent += connection.send(request)
                if not select.select([], [connection], [], 0.3)[1]:
                    break
        assert sent < 400_000_000
        connection.setblocking(True)
        connection.settimeout(HANG_SECONDS)
        rest = request[sent % len(request) :] if sent % len(request) else b""
        sender = threading.Thread(target=connection.sendall, args=(rest + LAST,))
        sender.start()
        received = bytearray()
        while data := connection.recv(1 << 20):
            received += data
        sender.join()
    assert received.count(b"HTTP/1.1 200 OK") == -(-sent // len(request))
    assert received.count(b"HTTP/1.1 404 ") == 1 + bool(warm)


async def test_date_is_right_to_the_second(pair: tuple[Running, Running]) -> None:
    """A reply from the cache tells the time as it is."""
    from datetime import UTC, datetime, timedelta
    from email.utils import parsedate_to_datetime

    seen: set[datetime] = set()
    async with asyncio.timeout(HANG_SECONDS):
        while len(seen) < 3:
            before = datetime.now(UTC)
            reply = talk(pair[0].port, [head(b"Connection: close")])
            date = re.search(rb"\r\nDate: ([^\r]+)\r\n", reply)
            assert date is not None
            told = parsedate_to_datetime(date[1].decode())
            assert before - timedelta(seconds=1) < told <= datetime.now(UTC)
            seen.add(told)


async def test_flood_of_unlike_requests(pair: tuple[Running, Running]) -> None:
    """Requests that are all different are answered, and don't grow the memory without bound."""
    cached, _ = pair
    rss = _rss(cached)
    # The one field counts; of the other, the name does for a shape.
    for field in (b"Accept: %d-%d", b"X-Other-%d-%d: x"):
        for turn in range(20):
            stream = b"".join(head(field % (turn, number)) for number in range(200))
            reply = await asyncio.to_thread(talk, cached.port, [stream, LAST])
            assert reply.count(b"HTTP/1.1 200 OK") == 200
    assert _rss(cached) - rss < 30_000


def _rss(server: Running) -> int:
    """Read a process's resident memory in KiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])
