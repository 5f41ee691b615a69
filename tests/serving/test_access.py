"""The access log's lines, and whom they name as the client."""

import time
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from jwks_server.options.settings import Proxies
from jwks_server.serving.access import AccessLog

PROXIES: Proxies = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), "unix")


def line(request: bytes, remote: str = "10.0.0.1", trusted: Proxies = PROXIES) -> dict[str, object]:
    """Log one answer."""
    with capture_logs() as lines:
        AccessLog(trusted).log(remote, request, 200, 12, "cache", time.perf_counter())
    (only,) = lines
    return dict(only)


@pytest.mark.parametrize(
    ("request_head", "method", "target", "agent"),
    [
        (b"GET /keys?a=b HTTP/1.1\r\nHost: a\r\nUser-Agent: curl/8 (x)\r\n\r\n", "GET", "/keys?a=b", "curl/8 (x)"),
        (b"HEAD / HTTP/1.0\r\n\r\n", "HEAD", "/", ""),
        (b"", "", "", ""),
    ],
)
def test_line(request_head: bytes, method: str, target: str, agent: str) -> None:
    """A line has the client, the request line's parts, its user agent, the answer and what served it."""
    found = line(request_head, "192.0.2.1")
    assert 0 <= found.pop("duration") < 20  # type: ignore[operator]
    assert found == {
        "event": "request",
        "log_level": "info",
        "remote": "192.0.2.1",
        "client": "192.0.2.1",
        "method": method,
        "target": target,
        "status": 200,
        "bytes": 12,
        "user_agent": agent,
        "served_by": "cache",
    }


def test_nothing_arrived() -> None:
    """An answer to a client that sent nothing took no time."""
    with capture_logs() as lines:
        AccessLog().log("192.0.2.1", b"", 408, 12, "application", 0.0)
    assert lines[0]["duration"] == 0


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (b"X-Forwarded-For: 192.0.2.7", "192.0.2.7"),
        (b"x-forwarded-for: 198.51.100.1, 192.0.2.7 , 10.3.3.3", "192.0.2.7"),
        (b"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"),
        (b"X-Forwarded-For: 10.1.1.1, 10.2.2.2", "10.1.1.1"),
        (b"X-Forwarded-For: 192.0.2.7:4711", "192.0.2.7"),
        (b"X-Forwarded-For: [2001:db8::1]:4711", "2001:db8::1"),
        (b"X-Forwarded-For: ::ffff:192.0.2.7", "192.0.2.7"),
        (b"X-Forwarded-For: 192.0.2.7, unknown, 10.2.2.2", "10.2.2.2"),
        (b"X-Forwarded-For: nonsense", "10.0.0.1"),
        (b"X-Forwarded-For: fe80::1%<b>", "10.0.0.1"),
        (b"X-Forwarded-For:", "10.0.0.1"),
        (b"Forwarded: for=198.51.100.1, for=192.0.2.7;proto=https, for=10.2.2.2", "192.0.2.7"),
        (b'Forwarded: proto=https; FOR="[2001:db8::1]:47011"', "2001:db8::1"),
        (b"Forwarded: for=_hidden, for=10.2.2.2", "10.2.2.2"),
        (b"Forwarded: by=192.0.2.7", "10.0.0.1"),
        (b"Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"),
        (b"User-Agent: a", "10.0.0.1"),
    ],
)
def test_client_behind_proxies(fields: bytes, client: str) -> None:
    """Behind a trusted proxy the client is the last address that no trusted proxy stands at."""
    request = b"GET / HTTP/1.1\r\n" + fields + b"\r\n\r\n"
    assert line(request)["client"] == client
    assert line(request, "192.0.2.200")["client"] == "192.0.2.200"
    assert line(request, trusted=())["client"] == "10.0.0.1"


def test_unix_socket_and_mapped_address() -> None:
    """A proxy at a unix socket is trusted by name, and one at an IPv4 address that is written in IPv6 as well."""
    request = b"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    assert line(request, "")["client"] == "192.0.2.7"
    assert not line(request, "", PROXIES[:2])["client"]
    assert line(request, "::ffff:10.0.0.1")["client"] == "192.0.2.7"


def test_long_chain_is_followed_for_a_while() -> None:
    """However many addresses a request has, a limited number of them is read."""
    chain = b"192.0.2.7, " + b"10.0.0.1, " * 1000 + b"10.0.0.2"
    assert line(b"GET / HTTP/1.1\r\nX-Forwarded-For: " + chain + b"\r\n\r\n")["client"] == "10.0.0.1"


@given(agent=st.binary(max_size=2000), forwarded=st.binary(max_size=300))
def test_any_bytes(agent: bytes, forwarded: bytes) -> None:
    """Whatever a client sends, there is one line, and its values are bounded."""
    request = b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nUser-Agent: " + agent + b"\r\nForwarded: for=" + forwarded
    found = line(request + b"\r\nX-Forwarded-For: " + forwarded + b"\r\n\r\n")
    assert len(str(found["user_agent"])) <= 300
    assert len(str(found["target"])) <= 1100
    assert len(str(found["client"])) < 50
