"""What goes on to aiohttp: whole heads that HTTP/1.1 allows, and nothing else."""

import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jwks_server.errors import BadRequest, HeadTooLarge, Problem, VersionUnsupported
from jwks_server.serving.head_buffer import HeadBuffer
from jwks_server.serving.request_head import ends_connection


def head(*lines: bytes) -> bytes:
    """Write a head."""
    return b"\r\n".join((*lines, b"", b""))


LINE = b"GET / HTTP/1.1"
HOST = b"Host: a"


@pytest.mark.parametrize(
    "host",
    [
        b"a",
        b"a.example:8080",
        b"127.0.0.1",
        b"[::1]",
        b"[::1]:80",
        b"a:",
        b"xn--d1acpjx3f.xn--p1ai",
        b"%41",
        b"_a",
        b"a ",
    ],
)
def test_hosts(host: bytes) -> None:
    """Names, addresses and ports of every form are hosts."""
    assert not ends_connection(head(LINE, b"hOsT: " + host), 10)


@pytest.mark.parametrize(
    ("lines", "ends"),
    [
        ((LINE, HOST), False),
        ((LINE, HOST, b"Content-Length: 0"), False),
        ((LINE, HOST, b"Content-Length: 1"), True),
        ((LINE, HOST, b"Transfer-Encoding: chunked"), True),
        ((LINE, HOST, b"transfer-encoding: Chunked "), True),
        ((LINE, HOST, b"Upgrade: h2c"), True),
        ((b"CONNECT a:80 HTTP/1.1", HOST), True),
        ((b"OPTIONS * HTTP/1.1", HOST), False),
        ((b"GET http://a/b HTTP/1.1", HOST), False),
        ((b"GET / HTTP/1.0",), False),
        ((LINE, HOST, b"X-Content-Length: 5"), False),
        ((LINE, HOST, b"X: Content-Length: 5"), False),
    ],
)
def test_what_ends_a_connection(lines: tuple[bytes, ...], ends: bool) -> None:
    """A body or another protocol may follow only as the last."""
    assert ends_connection(head(*lines), 10) is ends


def test_number_of_fields() -> None:
    """As many fields as allowed, and one more."""
    assert not ends_connection(head(LINE, HOST, *[b"X: y"] * 9), 10)
    with pytest.raises(HeadTooLarge):
        ends_connection(head(LINE, HOST, *[b"X: y"] * 10), 10)


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2", b"HTTP/2.0", b"HTTP/3"])
def test_other_versions(version: bytes) -> None:
    """Another version is told apart from nonsense."""
    with pytest.raises(VersionUnsupported):
        ends_connection(head(b"GET / " + version, HOST), 10)


FIELDS = st.lists(
    st.one_of(
        st.sampled_from(
            [HOST, b"Content-Length: 5", b"Content-Length: x", b"Transfer-Encoding: chunked", b"X: y", b" z"]
        ),
        st.binary(max_size=12),
    ),
    max_size=5,
)


@given(st.one_of(st.sampled_from([LINE, b"GET / HTTP/1.0", b"G\x00T / HTTP/1.1"]), st.binary(max_size=20)), FIELDS)
@example(LINE, [HOST, b"Transfer-Encoding: chunked", b"Content-Length: 5"])
def test_any_head(line: bytes, fields: list[bytes]) -> None:
    """Any bytes are a problem or a head whose every line is plain, with at most one reading of its body."""
    data = head(line, *fields)
    with suppress(Problem):
        ends = ends_connection(data, 10)
        lines = data[:-4].split(b"\r\n")
        assert all(re.fullmatch(rb"[\t\x20-\x7e\x80-\xff]+", one) for one in lines)
        names = [one.partition(b":")[0].lower() for one in lines[1:]]
        assert names.count(b"host") <= 1
        assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
        assert ends or b"transfer-encoding" not in names


def cut_all(heads: HeadBuffer) -> list[bytes]:
    """Cut off every whole head."""
    return list(iter(heads.cut, None))


@given(st.lists(st.sampled_from([head(LINE, HOST), head(b"GET /x HTTP/1.0")]), max_size=4), st.data())
def test_cut_anywhere(requests: list[bytes], data: st.DataObject) -> None:
    """However a stream comes in pieces, the same heads are cut off it."""
    stream = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)))
    heads, found = HeadBuffer(1000), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        heads.feed(stream[start:end])
        found += cut_all(heads)
    assert found == requests
    assert not heads


@given(st.binary(max_size=30))
def test_hopeless_or_not(begun: bytes) -> None:
    """What is refused before its end can't become a head, whatever follows."""
    heads = HeadBuffer(1000)
    heads.feed(begun)
    try:
        cut_all(heads)
    except Problem:
        with pytest.raises(Problem):
            ends_connection(begun[len(begun) - len(heads) :] + b"\r\n\r\n", 100)


def test_size_of_a_head() -> None:
    """As many bytes as allowed, and one more, whole or not."""
    one = head(LINE, HOST)
    exact = HeadBuffer(len(one))
    exact.feed(one)
    assert exact.cut() == one
    for data in (one, one[:-3]):
        small = HeadBuffer(len(one) - 1)
        small.feed(data)
        with pytest.raises(HeadTooLarge):
            small.cut()
    exact.feed(one[:-4])
    assert exact.cut() is None


def test_reasons() -> None:
    """Each refusal says which part is wrong."""
    for lines, reason in (
        ((b"GET /", HOST), "request-line"),
        ((LINE, HOST, b"X"), "field"),
        ((LINE,), "host"),
        ((LINE, HOST, b"Content-Length: -1"), "content-length"),
        ((LINE, HOST, b"Transfer-Encoding: x"), "transfer-encoding"),
    ):
        with pytest.raises(BadRequest) as refused:
            ends_connection(head(*lines), 10)
        assert refused.value.reason == reason
