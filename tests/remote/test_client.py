"""What a URL serves, asked as a client that trusts nothing of it."""

import asyncio
import socket

import pytest
from edge import answering
from yarl import URL

from jwks_server.errors import ConfigError, FetchFailed
from jwks_server.remote import client

SET = b'{"keys":[{"kid":"a"}]}'


async def got(body: bytes = SET, status: int = 200, **headers: str) -> client.Answer:
    """Fetch what is answered so."""
    async with answering(body, status, **headers) as url:
        return await asyncio.to_thread(client.get, url)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("max-age=60", 60),
        ("public, Max-Age = 60", 60),
        ('max-age="60"', 60),
        ("max-age=60, s-maxage=300", 300),
        ("no-store", 0),
        ("xmax-age=60", 0),
        ("max-age=-5", 0),
        ("max-age=99999999999999999999", 999999999),
    ],
)
async def test_how_long_it_may_be_kept(said: str, seconds: int) -> None:
    """The time is the longest that any cache goes by, never negative, and 0 where nothing is said."""
    assert (await got(Cache_Control=said)).max_age == seconds


@pytest.mark.parametrize(("said", "seconds"), [("9", 9), ("0", 0), ("-1", None), ("soon", None), ("9" * 30, None)])
async def test_age(said: str, seconds: int | None) -> None:
    """An Age that is no number says nothing."""
    assert (await got(Age=said)).age == seconds


@pytest.mark.parametrize("status", [204, 301, 302, 404, 500])
async def test_only_200_is_an_answer(status: int) -> None:
    """Redirects are not followed, as most clients don't, and no other status is an answer."""
    with pytest.raises(FetchFailed, match=str(status)):
        await got(status=status, Location="/elsewhere")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys":{}}', b'{"keys":[1]}', b"[" * 100_000, b"\xff"])
async def test_what_is_no_set(body: bytes) -> None:
    """Whatever isn't a JWK Set is said to be none, deep nesting included."""
    with pytest.raises(FetchFailed, match="doesn't answer with"):
        (await got(body)).keys()


async def test_size() -> None:
    """An answer of 1 MiB is read, a larger one refused before it is read in full."""
    assert len((await got(b"x" * 2**20)).body) == 2**20
    with pytest.raises(FetchFailed, match="1 MiB"):
        await got(b"x" * (2**20 + 1))


async def test_version_that_is_known() -> None:
    """Where the server says that nothing has changed, the known body is the answer, with the times of now."""
    known = client.Answer("http://a", SET, '"tag"', None, 60)
    for headers, max_age in (({"Cache_Control": "max-age=7", "Age": "3"}, 7), ({"Age": "3"}, 60)):
        async with answering(b"", 304, **headers) as url, client.session() as session:
            answer = await client.fetch(session, URL(url), known)
        assert (answer.body, answer.age, answer.max_age) == (SET, 3, max_age)
    async with answering(b"", 304) as url, client.session() as session:
        with pytest.raises(FetchFailed, match="304"):
            await client.fetch(session, URL(url))


@pytest.mark.parametrize("text", ["", "a", "ftp://a", "http://", "http://u:secret@a", "//a", "http://[::1%25eth0]/"])
def test_what_is_no_url(text: str) -> None:
    """Only http and https without a user are URLs here; a password is never repeated."""
    with pytest.raises(ConfigError) as caught:
        client.parse_url(text)
    assert "secret" not in str(caught.value)


async def test_nobody_there() -> None:
    """A port where nothing listens, and a name without an address, are said to be so."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(FetchFailed, match="can't be fetched"):
        await asyncio.to_thread(client.get, f"http://127.0.0.1:{port}/")
    with pytest.raises(FetchFailed, match="doesn't resolve"):
        await client.resolve(URL("http://name.invalid/"))
    assert await client.resolve(URL("http://127.0.0.1/")) == {"127.0.0.1"}


async def test_one_address_of_many() -> None:
    """A session for one address connects there, whatever the URL's host is."""
    async with answering(SET) as url, client.session("127.0.0.1") as session:
        answer = await client.fetch(session, URL(url).with_host("name.invalid"))
    assert answer.keys() == [{"kid": "a"}]
