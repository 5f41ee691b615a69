"""What was answered before: the bytes of requests -> the bytes of their replies, for one edition of the catalog."""

import re
import time
from email.utils import formatdate

from jwks_server.published.catalog import Catalog, Edition
from jwks_server.serving.bridge import Answer
from jwks_server.serving.request_head import is_whole
from jwks_server.stats import Traffic

_MAX_NORMALIZED = 256
# Replies, and their bytes with their keys: so much in any case, and so much more for each page that is served.
_MAX_ENTRIES, _MAX_BYTES = 1024, 4 * 1024 * 1024
_PAGE_ENTRIES, _PAGE_BYTES = 4, 8 * 1024

# Within these bounds no limit on heads is reached, so leaving a field out can't hide that one is.
_MAX_HEAD_BYTES = 4096
_MAX_FIELDS = 64
_PRINTABLE = bytes(range(0x20, 0x7F))

# Fields that no handler reads and that say nothing about the message itself: who asked, through whom, and traces.
# It is only ever applied to requests of plain printable lines, each ending in CRLF.
_IGNORED = re.compile(
    rb"""\r\n(?:
        X-(?: Forwarded-[a-z-]+ | Request-ID | Real-IP | Client-IP | Correlation-ID | Original-[a-z-]+
            | B3-[a-z]+ | Amzn-Trace-Id | Envoy-[a-z-]+ | Cloud-Trace-Context | Datadog-[a-z-]+ )
      | User-Agent | Via | Traceparent | Tracestate | Forwarded | Referer | From | Baggage | B3
      | CF-[a-z-]+ | CDN-Loop | True-Client-IP | Uber-Trace-Id
    ):[^\r]*""",
    re.VERBOSE | re.IGNORECASE,
)
_DATE = re.compile(rb"\r\nDate: [^\r\n]+\r\n")


class CachedResponse:
    """A finished reply, the value of its Date written anew when the second is another one.

    Args:
        data: Its bytes, with one Date.
        answer: What it answers with.

    Attributes:
        answer: What it answers with.
        closes: Whether the connection ends with it.
        hits: How often it was sent and not yet counted.
    """

    __slots__ = ("_data", "_second", "answer", "closes", "hits")

    def __init__(self, data: bytes, answer: Answer) -> None:
        self.hits = 0
        self.answer = answer
        self.closes = answer.closes
        self._data = data
        self._second = -1

    def at(self, second: int) -> bytes:
        """Give the bytes to send in a second since the epoch."""
        if second != self._second:
            self._second = second
            self._data = _DATE.sub(b"\r\nDate: %b\r\n" % formatdate(second, usegmt=True).encode("ascii"), self._data, 1)
        return self._data


class ResponseCache:
    """Replies to requests, for as long as the catalog's edition is the same.

    Args:
        catalog: What is served now; once it is another edition all is forgotten.
        traffic: Counts the answers that were given from here.
    """

    def __init__(self, catalog: Catalog, traffic: Traffic) -> None:
        self._catalog = catalog
        self._traffic = traffic
        self._edition: Edition | None = None
        self._replies: dict[bytes, CachedResponse] = {}
        self._bytes = 0
        self._normalized: dict[bytes, bytes] = {}

    def find(self, request: bytes) -> CachedResponse | None:
        """Find the reply to a request."""
        if self._edition is not self._catalog.current:
            self._forget()
        return self._replies.get(request) or self._replies.get(
            self._normalized.get(request) or self._normalize(request)
        )

    def _normalize(self, request: bytes) -> bytes:
        """Work out the key of a request, and remember it for a client that sends the same again."""
        key = normalized(request)
        if len(request) <= _MAX_HEAD_BYTES:
            if len(self._normalized) >= _MAX_NORMALIZED:
                self._normalized.clear()
            self._normalized[request] = key
        return key

    def learn(self, request: bytes, reply: bytes, answer: Answer) -> None:
        """Remember a reply that was made from the current edition; any other is none of ours."""
        if self._edition is not self._catalog.current:
            self._forget()
        if answer.edition is None or answer.edition is not self._edition:
            return
        key = self._normalized.get(request) or self._normalize(request)
        if key in self._replies:  # another connection's, learned meanwhile
            return
        size = len(key) + len(reply)
        pages = len(self._edition.pages)
        if (
            len(self._replies) >= _MAX_ENTRIES + pages * _PAGE_ENTRIES
            or self._bytes + size > _MAX_BYTES + pages * _PAGE_BYTES
        ):
            self._forget()
        self._replies[key] = CachedResponse(reply, answer)
        self._bytes += size

    def count(self) -> None:
        """Add to the traffic what has been answered since this was last done."""
        for reply in self._replies.values():
            self._traffic.answers[reply.answer.status, "cache"] += reply.hits
            reply.hits = 0

    def _forget(self) -> None:
        self.count()
        self._edition = self._catalog.current
        self._replies.clear()
        self._bytes = 0


def normalized(request: bytes) -> bytes:
    """Leave out of a request's bytes what can't influence the reply; what is odd in any way stays as it is."""
    if not is_whole(request):
        return request
    lines = request.count(b"\r\n")
    if len(request) > _MAX_HEAD_BYTES or lines > _MAX_FIELDS:
        return request
    # Besides printable bytes only whole line ends, and no line that goes on with the next one.
    if len(request.translate(None, _PRINTABLE)) != 2 * lines or b"\n " in request:
        return request
    return _IGNORED.sub(b"", request)


def now() -> int:
    """Tell the second, as Date does."""
    return int(time.time())
