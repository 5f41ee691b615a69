"""The access log's lines."""

import pytest
from structlog.testing import capture_logs

from jwks_server.serving.access import log


@pytest.mark.parametrize(
    ("request_head", "method", "target"),
    [
        (b"GET /keys?a=b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/keys?a=b"),
        (b"HEAD / HTTP/1.0\r\n\r\n", "HEAD", "/"),
        (b"", "", ""),
    ],
)
def test_line(request_head: bytes, method: str, target: str) -> None:
    """A line has the client, the request line's parts, the answer and what served it, and no header field."""
    with capture_logs() as lines:
        log("192.0.2.1", request_head, 200, 12, "cache")
    assert lines == [
        {
            "event": "request",
            "log_level": "info",
            "remote": "192.0.2.1",
            "method": method,
            "target": target,
            "status": 200,
            "bytes": 12,
            "served_by": "cache",
        }
    ]
