"""The response cache: what it learns, what it ignores, and when it forgets."""

from collections.abc import Mapping

import pytest
from fields import FIELDS
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.options.settings import Limits
from jwks_server.published.catalog import Catalog, Edition, Entry
from jwks_server.published.freshness import Freshness
from jwks_server.serving.bridge import Answer
from jwks_server.serving.request_fields import READ
from jwks_server.serving.response_cache import CachedResponse, ResponseCache, key_of
from jwks_server.stats import Traffic

GET = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n"
REPLY = b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}"


def request(*fields: bytes) -> bytes:
    """Write a request with fields."""
    return b"\r\n".join((b"GET /.well-known/jwks.json HTTP/1.1", b"Host: a", *fields, b"", b""))


def answer(edition: Edition | None, *, closes: bool = False) -> Answer:
    """Say that a reply was made from an edition."""
    return Answer(edition, 200, 2, closes)


@pytest.fixture
def traffic() -> Traffic:
    """Count nothing yet."""
    return Traffic()


@pytest.fixture
def cache(catalog: Catalog, traffic: Traffic) -> ResponseCache:
    """Make an empty cache."""
    return ResponseCache(catalog, traffic, Limits())


def test_same_request_is_found(catalog: Catalog, cache: ResponseCache) -> None:
    """What was learned is found again, whichever fields that no handler reads come with it."""
    assert cache.find(GET) is None
    cache.learn(GET, REPLY, answer(catalog.current))
    for again in (GET, request(b"User-Agent: x", b"X-Request-ID: 1"), request(b"traceparent: 00-1-2-01")):
        for _ in range(2):
            found = cache.find(again)
            assert found is not None
            assert found.at(0) == REPLY
    assert cache.find(request(b"Accept-Encoding: gzip")) is None


def test_another_edition(catalog: Catalog, cache: ResponseCache, entry: Entry) -> None:
    """After a publication nothing from before is found, and a reply made from the last edition is not learned."""
    last = catalog.current
    cache.learn(GET, REPLY, answer(last))
    catalog.publish({"/": entry})
    assert cache.find(GET) is None
    cache.learn(GET, REPLY, answer(last))
    assert cache.find(GET) is None
    cache.learn(GET, REPLY, answer(catalog.current))
    assert cache.find(GET) is not None


def test_reply_without_an_edition(cache: ResponseCache) -> None:
    """A reply that was not made from the catalog, such as an error, is not learned."""
    cache.learn(GET, REPLY, answer(None))
    assert cache.find(GET) is None


def test_hits_are_counted_once(catalog: Catalog, cache: ResponseCache, traffic: Traffic, entry: Entry) -> None:
    """Hits are in the traffic after a count and before they would be forgotten, and never twice."""
    cache.learn(GET, REPLY, answer(catalog.current))
    found = cache.find(GET)
    assert found is not None
    found.hits += 3
    cache.count()
    cache.count()
    assert traffic.answers == {(200, "cache"): 3}
    found.hits += 2
    catalog.publish({"/": entry})
    cache.find(GET)
    assert traffic.answers == {(200, "cache"): 5}


def test_it_stays_small(catalog: Catalog, cache: ResponseCache) -> None:
    """It holds a bounded number of replies and of bytes, however many different requests come."""
    known = 0
    for number in range(3000):
        cache.learn(request(b"Accept: %d" % number), REPLY, answer(catalog.current))
    known = sum(cache.find(request(b"Accept: %d" % number)) is not None for number in range(3000))
    assert 0 < known < 1100
    for number in range(20):
        cache.learn(request(b"Expect: %d" % number), REPLY + bytes(1_000_000), answer(catalog.current))
    large = sum(cache.find(request(b"Expect: %d" % number)) is not None for number in range(20))
    assert 0 < large < 5


def test_date_follows_the_clock() -> None:
    """Only the value of Date is another in another second."""
    cached = CachedResponse(REPLY, answer(None, closes=True))
    assert cached.closes
    assert cached.at(0) == REPLY
    assert cached.at(1_800_000_000) == REPLY.replace(b"Thu, 01 Jan 1970 00:00:00", b"Fri, 15 Jan 2027 08:00:00")
    assert cached.at(0) == REPLY


def test_cache_control_follows_the_clock() -> None:
    """Before a scheduled change Cache-Control is made once a second too, by the clock that the keys live by."""
    now = 900.5
    reply = REPLY.replace(b"\r\n\r\n", b"\r\nCache-Control: public, max-age=300\r\n\r\nCache-Control: x\r\n")
    cached = CachedResponse(reply, answer(None)._replace(fresh=Freshness(300, 1000.0)), lambda: now)
    for now, expected in ((900.5, 96), (990.0, 7), (990.9, 7), (999.0, 0), (1001.0, 0)):
        sent = cached.at(int(now))
        control = b"\r\nCache-Control: public, max-age=%d, stale-if-error=86400\r\n" % expected
        assert control + b"\r\nCache-Control: x" in sent
        assert sent.count(b"Cache-Control") == 2
    assert CachedResponse(reply, answer(None)._replace(fresh=Freshness(300))).at(0) == reply


ODD: Mapping[str, bytes] = {
    "folded": request(b"X-Request-ID: a\r\n b"),
    "bare LF": request(b"X-Request-ID: a\nAccept-Encoding: gzip"),
    "bare CR": request(b"X-Request-ID: a\rAccept-Encoding: gzip"),
    "NUL": request(b"X-Request-ID: a\x00b"),
    "high bytes": request(b"User-Agent: \xff\xfe"),
    "many fields": request(*[b"Via: x"] * 200),
    "large": request(b"Via: " + b"x" * 5000),
    "two requests": request(b"Via: x") + request(),
}


@pytest.mark.parametrize("name", ODD)
def test_unusual_requests_stay_as_they_are(name: str) -> None:
    """Nothing is left out of a request that is not plain printable lines within the bounds."""
    assert key_of(ODD[name]) == ODD[name]


def test_limits_are_not_hidden(catalog: Catalog, traffic: Traffic) -> None:
    """A request beyond the limits on heads is not taken for a smaller one that is known."""
    cache = ResponseCache(catalog, traffic, Limits(max_head=200, max_fields=3))
    cache.learn(GET, REPLY, answer(catalog.current))
    assert cache.find(request(b"X: y", b"X: y"))
    assert cache.find(request(b"X: y", b"X: y", b"X: y")) is None
    assert cache.find(request(b"X: " + b"x" * 100))
    assert cache.find(request(b"X: " + b"x" * 200)) is None


def test_only_fields_that_no_handler_reads_are_left_out() -> None:
    """Those are left out whatever their case; a name with a space before its colon and a value are not such a field."""
    plain = request(b"Accept: */*")
    assert key_of(plain) == plain
    assert key_of(request(b"X-Request-ID: 1", b"Accept: */*", b"TRACEPARENT: 00-x", b"never-heard-of: y")) == plain
    assert b"X-Request-ID" in key_of(request(b"X-Request-ID : 1"))
    assert b"X-Forwarded" in key_of(request(b"Accept: X-Forwarded-For: 1"))
    for bad in (b"X-Request-ID", b": x", b"a b: c", b"@: c"):
        assert bad in key_of(request(bad))


def test_another_edition_forgets_the_shapes(catalog: Catalog, cache: ResponseCache, entry: Entry) -> None:
    """A request that is known by its shape has no answer after a publication."""
    cache.learn(GET, REPLY, answer(catalog.current))
    for number in (1, 2):
        assert cache.find(request(b"X-Request-ID: %d" % number))
    catalog.publish({"/": entry})
    assert cache.find(request(b"X-Request-ID: 3")) is None


@given(st.lists(FIELDS, max_size=6))
def test_any_bytes(fields: list[bytes]) -> None:
    """The key is a part of the request, in its order, with every field that counts."""
    whole = request(*fields)
    rest = iter(whole)
    left = key_of(whole)
    assert all(byte in rest for byte in left)
    for field in fields:
        if field.partition(b":")[0].lower() in READ:
            assert left.count(field) == whole.count(field)
