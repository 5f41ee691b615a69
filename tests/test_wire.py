"""The HTTP table, byte by byte over a raw socket, from a server in a process of its own."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import brotli
import pytest
import pytest_asyncio
from aiohttp.http_parser import SINGLETON_HEADERS
from support import Running, build, certificate_pem, certify, key, private_pem, public_pem, raw, serving, trusting

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy

TARGET = b"/.well-known/jwks.json"
PEM = {"a.pem": public_pem(key("RSA")), "b.pem": public_pem(key("P-256"))}
BODY = build([read_file(name, pem, None) for name, pem in PEM.items()], Policy()).body


WAYS = [
    pytest.param((loop, cache, tls), id="-".join((loop, "cache" if cache else "no-cache", "tls" if tls else "plain")))
    for loop in ("uvloop", "asyncio")
    for cache in (True, False)
    for tls in (True, False)
]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WAYS)
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Serve two keys to the whole file: on either event loop, with and without the response cache, and TLS."""
    loop, cache, tls = request.param
    directory, pair = tmp_path_factory.mktemp("keys"), tmp_path_factory.mktemp("tls")
    for name, pem in PEM.items():
        (directory / name).write_bytes(pem)
    private = key("P-256", 9)
    (pair / "tls.pem").write_bytes(certificate_pem(certify(private, name="localhost")))
    (pair / "tls.key").write_bytes(private_pem(private))
    flags = ["--loop", loop, *(() if cache else ("--no-response-cache",))]
    if tls:
        flags += ["--tls-cert", str(pair / "tls.pem"), "--tls-key", str(pair / "tls.key")]
    async with serving(directory, *flags) as running:
        running.tls = trusting() if tls else None
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Reply:
    """A reply as it was on the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        """Find the only header of a name, spelled exactly so."""
        (value,) = [value for found, value in self.headers if found == name]
        return value

    @property
    def names(self) -> set[str]:
        """The headers' names."""
        return {name for name, _ in self.headers}


def parse(data: bytes) -> Reply:
    """Take a reply apart, strictly: one status line, fields, an empty line, the body."""
    head, _, body = data.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    version, status, _reason = status_line.split(" ", 2)
    assert version == "HTTP/1.1"
    fields = [line.split(": ", 1) for line in lines]
    return Reply(int(status), [(name, value) for name, value in fields], body)


async def send(server: Running, *writes: bytes) -> bytes:
    """Send bytes as they stand, and read to the end."""
    return await raw(server.port, *writes, tls=server.tls)


async def ask(server: Running, method: bytes = b"GET", target: bytes = TARGET, *fields: bytes) -> Reply:
    """Send one request as it stands."""
    lines = (method + b" " + target + b" HTTP/1.1", b"Host: localhost", *fields, b"Connection: close", b"", b"")
    return parse(await send(server, b"\r\n".join(lines)))


async def test_get(server: Running) -> None:
    """GET: the body to the byte, and every header once."""
    reply = await ask(server)
    assert reply.status == 200
    assert reply.body == BODY
    assert reply["Content-Type"] == "application/json"
    assert reply["Cache-Control"] == "public, max-age=300, stale-if-error=86400"
    assert reply["Vary"] == "Accept-Encoding"
    assert reply["Access-Control-Allow-Origin"] == "*"
    assert reply["X-Content-Type-Options"] == "nosniff"
    assert reply["Content-Length"] == str(len(BODY))
    assert reply["Date"].endswith(" GMT")
    assert reply["ETag"].startswith('"')
    assert reply.names == {
        *("Content-Type", "Cache-Control", "Vary", "Access-Control-Allow-Origin", "X-Content-Type-Options"),
        *("Content-Length", "Date", "ETag", "Connection"),
    }


async def test_head(server: Running) -> None:
    """HEAD: the same head, and not a byte after it."""
    get, head = await ask(server), await ask(server, b"HEAD")
    assert head.status == 200
    assert head.body == b""
    assert [one for one in head.headers if one[0] != "Date"] == [one for one in get.headers if one[0] != "Date"]


async def test_query_string_is_ignored(server: Running) -> None:
    """The query changes nothing."""
    assert (await ask(server, b"GET", TARGET + b"?cache=bust&x=%ff")).body == BODY


async def test_codings(server: Running) -> None:
    """Coded bodies decode to the same bytes; without Accept-Encoding there is no coding."""
    assert "Content-Encoding" not in (await ask(server)).names
    gzipped = await ask(server, b"GET", TARGET, b"Accept-Encoding: gzip")
    assert gzipped["Content-Encoding"] == "gzip"
    assert gzip.decompress(gzipped.body) == BODY
    best = await ask(server, b"GET", TARGET, b"Accept-Encoding: gzip", b"accept-encoding: br")
    assert best["Content-Encoding"] == "br"
    assert brotli.decompress(best.body) == BODY
    assert (await ask(server, b"GET", TARGET, b"Accept-Encoding: identity;q=0")).status == 406


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([b"If-None-Match: %b"], 304),
        ([b"If-None-Match: W/%b"], 304),
        ([b"If-None-Match: *"], 304),
        ([b'If-None-Match: "x"', b"If-None-Match: %b"], 304),
        ([b'If-None-Match: "x",, ,%b'], 304),
        ([b"If-None-Match: garbage, %b"], 304),
        ([b"If-None-Match: \xff\xfe"], 200),
        ([b"If-None-Match:"], 200),
        ([b'If-None-Match: "x"'], 200),
        ([b"If-Match: %b"], 200),
        ([b"If-Match: *"], 200),
        ([b"If-Match: W/%b"], 412),
        ([b'If-Match: "x"'], 412),
        ([b'If-Match: "x"', b"If-None-Match: %b"], 412),
        ([b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"], 200),
        ([b"Range: bytes=0-1"], 200),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_conditions(server: Running, method: bytes, fields: list[bytes], status: int) -> None:
    """Every conditional of the table, for both methods."""
    etag = (await ask(server))["ETag"].encode()
    reply = await ask(server, method, TARGET, *[field.replace(b"%b", etag) for field in fields])
    assert reply.status == status
    if status == 304:
        assert reply.body == b""
        assert reply["ETag"].encode() == etag
        assert reply["Cache-Control"] == "public, max-age=300, stale-if-error=86400"
        assert reply["Vary"] == "Accept-Encoding"
        assert not {"Content-Type", "Content-Length", "Transfer-Encoding"} & reply.names
    elif method == b"HEAD":
        assert reply.body == b""


async def test_options(server: Running) -> None:
    """OPTIONS is 204 and has no body."""
    reply = await ask(server, b"OPTIONS", TARGET, b"Origin: https://a.example", b"Access-Control-Request-Method: GET")
    assert (reply.status, reply.body) == (204, b"")
    assert reply["Access-Control-Allow-Origin"] == "*"
    assert reply["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert not {"Content-Length", "Transfer-Encoding"} & reply.names  # RFC 9110 section 8.6


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"POST", TARGET, 405),
        (b"DELETE", TARGET, 405),
        (b"QUERY", TARGET, 405),
        (b"GET", b"/", 404),
        (b"GET", b"/%00", 404),
    ],
)
async def test_errors(server: Running, method: bytes, target: bytes, status: int) -> None:
    """Errors are short problem documents that no cache keeps."""
    reply = await ask(server, method, target)
    assert reply.status == status
    assert json.loads(reply.body)["status"] == status
    assert reply["Content-Type"] == "application/problem+json"
    assert reply["Cache-Control"] == "no-store"
    assert "Server" not in reply.names
    if status == 405:
        assert reply["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nBad Field\r\n\r\n"]
)
async def test_garbage(server: Running, garbage: bytes) -> None:
    """Data that is not HTTP gets a 400 without a banner; the log has no traceback."""
    reply = await send(server, garbage)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"Server:" not in reply
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["code"] == "bad-request"
    assert b"Traceback" not in server.stderr


@pytest.mark.parametrize("method", [b"FOO", b"get", b"M-SEARCH-X", b"PLAY", b"SOURCE", b"PRI"])
async def test_methods_that_the_parser_does_not_know(server: Running, method: bytes) -> None:
    """A method that is unknown, or known in another protocol only, is 405 like any other, in HTTP/1.1."""
    reply = parse(await send(server, method + b" " + TARGET + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    assert reply.status == 405
    assert reply["Allow"] == "GET, HEAD, OPTIONS"
    assert json.loads(reply.body)["code"] == "method-not-allowed"


@pytest.mark.parametrize("name", sorted(SINGLETON_HEADERS - {"content-length", "host", "transfer-encoding"}))
async def test_two_fields_that_no_handler_reads(server: Running, name: str) -> None:
    """A field that the cache ignores may come twice, whether the cache or aiohttp answers, whatever its parser says."""
    field = name.encode()
    for _ in range(2):
        assert (await ask(server, b"GET", TARGET, field + b": a", field.upper() + b": b")).status == 200


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/2.0", b"GET foo HTTP/1.1", b"GET / HTTP/1.1\r\nX : y", b"GET / HTTP/1.1\r\nX: a\nb"]
)
async def test_refused_head_requests(server: Running, request_line: bytes) -> None:
    """A refusal to HEAD has no body, and the Content-Length that the one to GET has."""
    get = parse(await send(server, request_line + b"\r\nHost: a\r\n\r\n"))
    head = parse(await send(server, request_line.replace(b"GET", b"HEAD") + b"\r\nHost: a\r\n\r\n"))
    assert head.status == get.status >= 400
    assert head.body == b""
    assert head["Content-Length"] == get["Content-Length"] == str(len(get.body))


async def test_http_0_9(server: Running) -> None:
    """A request line of HTTP/0.9 is refused at once, without an empty line after it."""
    assert parse(await send(server, b"GET " + TARGET + b"\r\n")).status == 400


CASES = {
    "get": b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % TARGET,
    "pipelined": b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    % TARGET,
    "version and bare LF": b"GET / HTTP/2.0\r\nX: a\nb\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\r\nX: a\nb\r\n\r\n",
    "bare CR in the line": b"GET /\ra HTTP/1.1\r\nHost: a\r\n\r\n",
    "0.9": b"GET /\r\nHost: a\r\n\r\n",
    "body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    "head": b"HEAD / HTTP/1.1\r\nX : y\r\n\r\n",
    "unknown method": b"PLAY / HTTP/1.1\r\nHost: a\r\n\r\n",
    **{
        " ".join((method, *fields)): f"{method} {TARGET.decode()} HTTP/1.1\r\nHost: a\r\n".encode()
        + b"".join(one.encode() + b"\r\n" for one in (*fields, "Connection: close", ""))
        for method, *fields in (
            ("HEAD",),
            ("OPTIONS",),
            ("DELETE",),
            ("GET", "Accept-Encoding: gzip, br;q=0.5"),
            ("GET", "If-None-Match: *"),
            ("HEAD", 'If-Match: "x"'),
            ("GET", "User-Agent: a", "User-Agent: b"),
            ("GET", "Expect: 100-continue"),
        )
    },
    "query": b"GET %b?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % TARGET,
    "1.0": b"GET %b HTTP/1.0\r\n\r\n" % TARGET,
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00",
    "method only": b"GET\r\n\r\n",
    "field without a colon": b"GET / HTTP/1.1\r\nBad Field\r\n\r\n",
}


@pytest.mark.parametrize("case", CASES)
async def test_cut_at_every_boundary(server: Running, case: str) -> None:
    """However a stream is cut in two, it gets the same answers to the byte."""
    stream = CASES[case]
    whole = _dateless(await send(server, stream))
    replies = await asyncio.gather(*[send(server, stream[:at], stream[at:]) for at in range(1, len(stream))])
    assert {_dateless(reply) for reply in replies} == {whole}


def _dateless(reply: bytes) -> bytes:
    return re.sub(rb"\r\nDate: [^\r]+", b"", reply)


@pytest.mark.parametrize("target", [TARGET, b"/other"])
async def test_expectations_are_ignored(server: Running, target: bytes) -> None:
    """Expect changes nothing: no interim answer, no plain-text error, no banner."""
    for value in (b"100-continue", b"anything"):
        reply = await ask(server, b"GET", target, b"Expect: " + value)
        assert reply.status == (200 if target == TARGET else 404)
        assert "Server" not in reply.names


async def test_keep_alive_and_pipelining(server: Running) -> None:
    """Several requests in one write are answered in their order on one connection."""
    request = b"%b " + TARGET + b" HTTP/1.1\r\nHost: a\r\n%b\r\n"
    sent = request % (b"GET", b"") + request % (b"HEAD", b"") + request % (b"POST", b"Connection: close\r\n")
    replies = (await send(server, sent)).split(b"HTTP/1.1 ")
    assert [reply[:3] for reply in replies] == [b"", b"200", b"200", b"405"]


async def test_http_1_0(server: Running) -> None:
    """An HTTP/1.0 client gets its answer and the end of the connection."""
    reply = await send(server, b"GET " + TARGET + b" HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.0 200 ")
    assert reply.endswith(BODY)


async def test_options_change_the_answer(tmp_path: Path) -> None:
    """--path, --media-type and --max-age show on the wire."""
    (tmp_path / "a.pem").write_bytes(PEM["a.pem"])
    flags = ("--path", "/keys", "--media-type", "application/jwk-set+json", "--max-age", "5")
    async with serving(tmp_path, *flags) as server:
        reply = await ask(server, b"GET", b"/keys")
        assert reply.status == 200
        assert reply["Content-Type"] == "application/jwk-set+json"
        assert reply["Cache-Control"] == "public, max-age=5, stale-if-error=86400"
        assert (await ask(server)).status == 404
