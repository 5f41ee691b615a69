"""The response cache: the bytes of a request -> the bytes of its reply, for one edition of the catalog."""

import re
import time
from collections.abc import Callable
from email.utils import formatdate

from jwks_server.options.settings import Limits
from jwks_server.published.catalog import Catalog, Edition
from jwks_server.serving.bridge import Answer
from jwks_server.serving.request_fields import relevant
from jwks_server.serving.request_head import is_whole
from jwks_server.serving.shapes import Shapes, unprintable
from jwks_server.stats import Traffic

# How many replies there may be, and their size with their requests: a base, and more for each page that is served.
_MAX_ENTRIES, _MAX_BYTES = 1024, 4 * 1024 * 1024
_PAGE_ENTRIES, _PAGE_BYTES = 4, 8 * 1024

# Larger requests have no key; nor have those beyond the limits on heads, so that leaving out a field can't hide that.
_MAX_HEAD_BYTES = 4096
_MAX_FIELDS = 64
_CACHE_CONTROL = re.compile(rb"\r\nCache-Control: [^\r\n]+\r\n")
_DATE = re.compile(rb"\r\nDate: [^\r\n]+\r\n")


class CachedResponse:
    """A finished reply, whose Date is kept current to the second, and its Cache-Control before a scheduled change.

    Args:
        data: Its bytes, with one Date field.
        answer: What is known about it.
        clock: The time that the keys live by, in seconds since the epoch.

    Attributes:
        answer: What is known about it.
        closes: Whether the connection ends with it.
        hits: How often it was sent since the hits were last counted.
    """

    __slots__ = ("_clock", "_data", "_second", "answer", "closes", "hits")

    def __init__(self, data: bytes, answer: Answer, clock: Callable[[], float] = time.time) -> None:
        self.hits = 0
        self.answer = answer
        self.closes = answer.closes
        self._clock = clock
        self._data = data
        self._second = -1

    def at(self, second: int) -> bytes:
        """Return the bytes to send at a time, in whole seconds since the epoch."""
        if second != self._second:
            self._second = second
            self._data = _DATE.sub(b"\r\nDate: %b\r\n" % formatdate(second, usegmt=True).encode("ascii"), self._data, 1)
            fresh = self.answer.fresh
            if fresh and fresh.next_change is not None:
                control = fresh.cache_control(self._clock()).encode("ascii")
                self._data = _CACHE_CONTROL.sub(b"\r\nCache-Control: %b\r\n" % control, self._data, 1)
        return self._data


class ResponseCache:
    """Replies by request, for as long as the catalog's edition stays the same.

    Args:
        catalog: Holds the current edition; when that changes, the cache is emptied.
        traffic: Counts the answers that came from the cache.
        limits: What a client may do.
        clock: The time that the keys live by, in seconds since the epoch.
    """

    def __init__(
        self, catalog: Catalog, traffic: Traffic, limits: Limits, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._max_head = min(_MAX_HEAD_BYTES, limits.max_head)
        self._max_fields = min(_MAX_FIELDS, limits.max_fields)
        self._catalog = catalog
        self._traffic = traffic
        self._edition: Edition | None = None
        self._replies: dict[bytes, CachedResponse] = {}
        self._bytes = 0
        self._shapes: Shapes[CachedResponse] = Shapes()

    def find(self, request: bytes) -> CachedResponse | None:
        """Find the reply to a request."""
        if self._edition is not self._catalog.current:
            self._forget()
        reply = self._replies.get(request) or self._shapes.find(request)
        if reply is None and (key := self._key(request)) != request:
            reply = self._replies.get(key)
            if reply is not None:
                self._shapes.learn(request, reply)
        return reply

    def _key(self, request: bytes) -> bytes:
        return key_of(request, self._max_head, self._max_fields)

    def learn(self, request: bytes, reply: bytes, answer: Answer) -> None:
        """Store a reply if it was made from the current edition."""
        if self._edition is not self._catalog.current:
            self._forget()
        if answer.edition is None or answer.edition is not self._edition:
            return
        key = self._key(request)
        if key in self._replies:  # another connection has stored it meanwhile
            return
        size = len(key) + len(reply)
        pages = len(self._edition.pages)
        if (
            len(self._replies) >= _MAX_ENTRIES + pages * _PAGE_ENTRIES
            or self._bytes + size > _MAX_BYTES + pages * _PAGE_BYTES
        ):
            self._forget()
        self._replies[key] = CachedResponse(reply, answer, self._clock)
        self._bytes += size

    def count(self) -> None:
        """Add the hits since the last call to the traffic."""
        for reply in self._replies.values():
            self._traffic.answers[reply.answer.status, "cache"] += reply.hits
            reply.hits = 0

    def _forget(self) -> None:
        self.count()
        self._edition = self._catalog.current
        self._replies.clear()
        self._shapes.clear()
        self._bytes = 0


def key_of(request: bytes, max_head: int = _MAX_HEAD_BYTES, max_fields: int = _MAX_FIELDS) -> bytes:
    """Leave out the fields that can't influence the reply; a request that is unusual in any way stays as it is.

    Args:
        request: Any bytes.
        max_head: How large a request with a key of its own may be.
        max_fields: How many fields it may have.
    """
    if not is_whole(request):
        return request
    lines = request.count(b"\r\n")
    if len(request) > max_head or lines - 2 > max_fields:
        return request
    # Besides printable bytes there are only whole line ends, and no line is continued on the next one.
    if unprintable(request) != 2 * lines or b"\n " in request:
        return request
    return relevant(request)


def now() -> int:
    """Return the time in whole seconds since the epoch, as Date tells it."""
    return int(time.time())
