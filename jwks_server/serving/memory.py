"""What was answered before: the bytes of requests -> the bytes of their replies, for one entry of the catalog."""

import re
import time
from email.utils import formatdate

from jwks_server.catalog import Catalog, Entry
from jwks_server.serving.representation import Representation

_MAX_ENTRIES = 1024
_MAX_BYTES = 4 * 1024 * 1024

# Within these bounds aiohttp's own limits on heads are not reached, so leaving a field out can't hide that one is.
_MAX_HEAD_BYTES = 4096
_MAX_FIELDS = 64
_PRINTABLE = bytes(range(0x20, 0x7F))

# Fields that no handler reads and that say nothing about the message itself: who asked, through whom, and traces.
_IGNORED = re.compile(
    rb"""\r\n(?:
        User-Agent | Referer | From | Via | Forwarded | X-Forwarded-[a-z-]+ | X-Original-[a-z-]+
      | X-Real-IP | X-Client-IP | True-Client-IP | CF-[a-z-]+ | CDN-Loop
      | X-Request-ID | X-Correlation-ID | Traceparent | Tracestate | Baggage | B3 | X-B3-[a-z]+
      | X-Amzn-Trace-Id | X-Cloud-Trace-Context | X-Datadog-[a-z-]+ | X-Envoy-[a-z-]+ | Uber-Trace-Id
    ):[\x20-\x7e]*""",
    re.VERBOSE | re.IGNORECASE,
)
_DATE = re.compile(rb"\r\nDate: ([^\r\n]+)\r\n")


class Reply:
    """A finished reply, the value of its Date written anew when the second is another one.

    Attributes:
        closes: Whether the connection ends with it.
    """

    __slots__ = ("_after", "_before", "_finished", "_second", "closes")

    def __init__(self, before: bytes, after: bytes, *, closes: bool) -> None:
        self._before = before
        self._after = after
        self._finished = b""
        self._second = -1
        self.closes = closes

    def at(self, second: int) -> bytes:
        """Give the bytes to send in a second since the epoch."""
        if second != self._second:
            self._second = second
            self._finished = self._before + formatdate(second, usegmt=True).encode("ascii") + self._after
        return self._finished

    def __len__(self) -> int:
        return len(self._before) + len(self._after)


class Memory:
    """Replies to requests, for as long as the catalog's entry is the same.

    Args:
        catalog: What is served now; once it is another entry all is forgotten.
    """

    def __init__(self, catalog: Catalog[Representation]) -> None:
        self._catalog = catalog
        self._entry: Entry[Representation] | None = None
        self._replies: dict[bytes, Reply] = {}
        self._bytes = 0

    def recall(self, key: bytes) -> Reply | None:
        """Find the reply to a request by its key."""
        if self._entry is not self._catalog.current:
            self._forget()
        return self._replies.get(key)

    def learn(self, key: bytes, reply: bytes, answered_from: Entry[Representation] | None, *, closes: bool) -> None:
        """Remember a reply that was made from the current entry; any other is none of ours."""
        if self._entry is not self._catalog.current:
            self._forget()
        dates = _DATE.findall(reply)
        if answered_from is None or answered_from is not self._entry or len(dates) != 1:
            return
        size = len(key) + len(reply)
        if len(self._replies) >= _MAX_ENTRIES or self._bytes + size > _MAX_BYTES:
            self._forget()
        before, after = reply.split(dates[0], 1)
        self._replies[key] = Reply(before, after, closes=closes)
        self._bytes += size

    def _forget(self) -> None:
        self._entry = self._catalog.current
        self._replies.clear()
        self._bytes = 0


def key_of(request: bytes) -> bytes:
    """Leave out of a request's bytes what can't influence the reply; what is odd in any way stays as it is."""
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
