"""The HTTP table, with aiohttp's client."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from support import build, key, public_pem, raw

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.pages import Endpoint, pages
from jwks_server.serving.public import application

PATH = "/.well-known/jwks.json"
Client = TestClient[web.Request, web.Application]
AiohttpClient = Callable[[web.Application], Awaitable[Client]]


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, catalog: Catalog) -> Client:
    """Serve the catalog to a client that asks for no compression."""
    client = await aiohttp_client(application(catalog, PATH))
    client.session.headers["Accept-Encoding"] = "identity"
    return client


@pytest.mark.parametrize("target", [PATH, PATH + "?a=b", PATH + "?"])
async def test_get(client: Client, entry: Entry, target: str) -> None:
    """GET answers with the set and every header; the query string is ignored."""
    reply = await client.get(target)
    assert reply.status == 200
    assert await reply.read() == entry.keyset.body
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "public, max-age=300, stale-if-error=86400"
    assert reply.headers["Vary"] == "Accept-Encoding"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Length"] == str(len(entry.keyset.body))
    assert {"ETag", "Date"} <= reply.headers.keys()
    assert not {"Server", "Last-Modified", "Content-Encoding", "Set-Cookie"} & reply.headers.keys()


async def test_cache_control_before_a_change(aiohttp_client: AiohttpClient, catalog: Catalog, entry: Entry) -> None:
    """A 200 and a 304 count down alike, by the clock that the keys live by, and the tag stays as it is."""
    now = 0.0
    keyset = replace(entry.keyset, next_change=1000.0)
    catalog.publish({"/": Entry(keyset, pages("/", keyset, Endpoint(PATH), entry.pages))})
    client = await aiohttp_client(application(catalog, PATH, lambda: now))
    tag = (await client.get(PATH)).headers["ETag"]
    for now, max_age in ((0.0, 300), (900.0, 97), (900.1, 96), (1000.0, 0)):  # noqa: B007 - the application reads it
        for asked, status in (({}, 200), ({"If-None-Match": tag}, 304)):
            reply = await client.get(PATH, headers=asked)
            assert (reply.status, reply.headers["ETag"]) == (status, tag)
            assert reply.headers.getall("Cache-Control") == [f"public, max-age={max_age}, stale-if-error=86400"]


async def test_head(client: Client) -> None:
    """HEAD has GET's headers and no body."""
    get, head = await client.get(PATH), await client.head(PATH)
    assert head.status == 200
    assert await head.read() == b""
    assert drop_date(head) == drop_date(get)


@pytest.mark.parametrize("coding", ["gzip", "br"])
async def test_compression_when_asked(client: Client, entry: Entry, coding: str) -> None:
    """A coding that is asked for comes with its own tag, and decodes to the set."""
    plain = await client.get(PATH)
    coded = await client.get(PATH, headers={"Accept-Encoding": coding})
    assert coded.headers["Content-Encoding"] == coding
    assert coded.headers["ETag"] != plain.headers["ETag"]
    assert await coded.read() == entry.keyset.body  # aiohttp's client decodes it


async def test_no_acceptable_coding(client: Client) -> None:
    """A client that rules out every coding is told so."""
    reply = await client.get(PATH, headers={"Accept-Encoding": "identity;q=0"})
    await expect_problem(reply, 406, "not-acceptable")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("coding", ["identity", "gzip", "br"])
async def test_if_none_match(client: Client, method: str, coding: str) -> None:
    """A client that has the current version gets 304, with what a cache needs and nothing else."""
    current = await client.get(PATH, headers={"Accept-Encoding": coding})
    headers = {"Accept-Encoding": coding, "If-None-Match": current.headers["ETag"]}
    reply = await client.request(method, PATH, headers=headers)
    assert reply.status == 304
    assert await reply.read() == b""
    for name in ("ETag", "Cache-Control", "Vary"):
        assert reply.headers[name] == current.headers[name]
    assert not {"Content-Type", "Content-Encoding", "Server"} & reply.headers.keys()


async def test_if_none_match_of_another_coding(client: Client) -> None:
    """The tag of one coding says nothing about another."""
    coded = await client.get(PATH, headers={"Accept-Encoding": "gzip"})
    reply = await client.get(PATH, headers={"If-None-Match": coded.headers["ETag"]})
    assert reply.status == 200


async def test_if_match(client: Client) -> None:
    """If-Match that fails is 412, and comes before If-None-Match (RFC 9110 section 13.2.2)."""
    etag = (await client.get(PATH)).headers["ETag"]
    assert (await client.get(PATH, headers={"If-Match": etag})).status == 200
    assert (await client.get(PATH, headers={"If-Match": etag, "If-None-Match": etag})).status == 304
    reply = await client.get(PATH, headers={"If-Match": '"other"', "If-None-Match": etag})
    await expect_problem(reply, 412, "precondition-failed")


@pytest.mark.parametrize(
    "headers",
    [
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"Range": "bytes=0-3"},
        {"If-Range": '"x"', "Range": "bytes=0-3"},
        {"Accept": "text/html"},
    ],
)
async def test_ignored_headers(client: Client, headers: dict[str, str]) -> None:
    """Dates, ranges and Accept change nothing."""
    assert (await client.get(PATH, headers=headers)).status == 200


async def test_options(client: Client) -> None:
    """OPTIONS answers a CORS preflight."""
    reply = await client.options(PATH, headers={"Origin": "https://a.example", "Access-Control-Request-Method": "GET"})
    assert reply.status == 204
    assert await reply.read() == b""
    assert reply.headers["Allow"] == reply.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.headers["Access-Control-Allow-Headers"] == "*"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_other_methods(client: Client, method: str) -> None:
    """Other methods are 405 and told what is allowed."""
    reply = await client.request(method, PATH)
    await expect_problem(reply, 405, "method-not-allowed")
    assert reply.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("target", ["/", "/jwks.json", PATH + "/", PATH.upper(), "/a" + PATH])
async def test_unknown_path(client: Client, target: str) -> None:
    """An unknown path is 404, whatever the method."""
    await expect_problem(await client.get(target), 404, "not-found")
    await expect_problem(await client.post(target), 404, "not-found")


async def test_the_start_page_names_the_root_issuer(client: Client, catalog: Catalog, entry: Entry) -> None:
    """The 404 of / says where the key directory's own set is, for as long as there is one, and names no other."""

    async def details() -> set[str]:
        found = set()
        for reply in (await client.get("/"), await client.get("/?a=b"), await client.post("/")):
            await expect_problem(reply, 404, "not-found")
            found.add((await reply.json())["detail"])
        return found

    named = {f"Nothing is served at this path; the JWK Set is at {PATH}."}
    assert await details() == named
    acme = Entry(entry.keyset, pages("/acme", entry.keyset, Endpoint(PATH)))
    catalog.publish({"/": None, "/acme": acme})
    assert await details() == {"Nothing is served at this path."}
    catalog.publish({}, frozenset({"/"}))
    assert await details() == {"Nothing is served at this path."}
    catalog.publish({"/": entry})
    assert await details() == named
    assert (await (await client.get("/nothing")).json())["detail"] == "Nothing is served at this path."


async def test_nothing_loaded_yet(aiohttp_client: AiohttpClient) -> None:
    """Before a set is loaded the answer is 503, with the time to try again."""
    client = await aiohttp_client(application(Catalog(), PATH))
    reply = await client.get(PATH)
    await expect_problem(reply, 503, "no-key-set")
    assert int(reply.headers["Retry-After"]) > 0
    assert (await client.options(PATH)).status == 204


@pytest.fixture
async def issuers(aiohttp_client: AiohttpClient, catalog: Catalog) -> Client:
    """Serve an issuer with a discovery document, beside one that has no set yet."""
    policy = Policy(issuer="https://id.example.com")
    keyset = build([read_file("a.pem", public_pem(key("P-256")), None)], policy)
    found = pages("/acme", keyset, Endpoint(PATH))
    catalog.publish({"/acme": Entry(keyset, found)}, frozenset({"/late"}))
    return await aiohttp_client(application(catalog, PATH))


@pytest.mark.parametrize(
    "target",
    ["/acme" + PATH, "/acme/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/acme", PATH],
)
async def test_every_page_is_answered_like_the_set(issuers: Client, target: str) -> None:
    """Each page has an ETag, is revalidated with it, and allows no other methods."""
    got = await issuers.get(target)
    assert got.status == 200
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Cache-Control"] == "public, max-age=300, stale-if-error=86400"
    head = await issuers.head(target)
    assert (head.status, drop_date(head)) == (200, drop_date(got))
    again = await issuers.get(target, headers={"If-None-Match": got.headers["ETag"]})
    assert again.status == 304
    await expect_problem(await issuers.get(target, headers={"If-Match": '"x"'}), 412, "precondition-failed")
    assert (await issuers.options(target)).status == 204
    await expect_problem(await issuers.delete(target), 405, "method-not-allowed")


async def test_issuer_without_a_set(issuers: Client) -> None:
    """Its path is 503 until there is a set; other paths below it are nothing."""
    reply = await issuers.get("/late" + PATH)
    await expect_problem(reply, 503, "no-key-set")
    assert int(reply.headers["Retry-After"]) > 0
    await expect_problem(await issuers.post("/late" + PATH), 405, "method-not-allowed")
    for target in ("/late", "/late/.well-known/openid-configuration", "/never" + PATH, "/late/late" + PATH):
        await expect_problem(await issuers.get(target), 404, "not-found")


async def test_slashes_that_are_too_many(aiohttp_client: AiohttpClient) -> None:
    """A doubled slash is another path, before a set is loaded too."""
    client = await aiohttp_client(application(Catalog(), PATH))
    assert b" 404 " in await raw(client.port or 0, f"GET /{PATH} HTTP/1.0\r\nHost: a\r\n\r\n".encode())


async def test_a_fault_of_this_program(client: Client, catalog: Catalog) -> None:
    """A fault is a problem document like any other, and tells nothing of what went wrong."""
    broken: Any = "broken"
    catalog.publish({"/": Entry(keyset=broken, pages={PATH: broken})})
    reply = await client.get(PATH)
    await expect_problem(reply, 500, "internal-error")
    assert "AttributeError" not in await reply.text()


def drop_date(reply: Any) -> list[tuple[str, str]]:
    """List a reply's headers but for its date."""
    return [(name, value) for name, value in reply.headers.items() if name != "Date"]


async def expect_problem(reply: Any, status: int, code: str) -> None:
    """Check an RFC 9457 problem document that no cache keeps."""
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Server" not in reply.headers
    document = await reply.json(content_type=None)
    assert (document["status"], document["code"]) == (status, code)
    assert document.keys() == {"type", "title", "status", "code", "detail"}
