"""Server-sent events (WHATWG HTML, section 9.2) that keep an open page up to date, for a bounded number of clients.

Each client has a handler, which looks once a second. So nothing is computed without clients, and one that doesn't read
only delays itself until the connection's write deadline ends it.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from aiohttp import hdrs, web

from jwks_server.errors import StreamsBusy
from jwks_server.serving.page.outline import Query
from jwks_server.serving.page.view import View
from jwks_server.serving.response import Unnamed
from jwks_server.serving.slices import in_slices

MAX_STREAMS = 8
_LOOK_SECONDS = 1.0
# A client that has left is noticed when something is written to it.
_QUIET_LOOKS = 5
_COMMENT = b":\n\n"
FIELDS = {hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}


class _Stream(Unnamed, web.StreamResponse):
    """A response without the Server field."""


class Streams:
    """The open event streams.

    Args:
        view: What the page shows.
        stopping: Set when the server stops; it ends each stream.
    """

    def __init__(self, view: View, stopping: asyncio.Event) -> None:
        self._view = view
        self._stopping = stopping
        self._open = 0

    async def answer(self, request: web.Request, asked: Query, fields: Mapping[str, str]) -> web.StreamResponse:
        """Send events until the client leaves or the server stops.

        Raises:
            StreamsBusy: There are too many streams, or the server stops.
        """
        with self._place():
            stream = _Stream(headers={**fields, **FIELDS})
            stream.force_close()  # the client opens another connection for what it asks next
            await stream.prepare(request)
            with suppress(ConnectionError):  # the client has left, or did not read
                await self._feed(stream, asked, request)
                await stream.write_eof()
            return stream

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._stopping.is_set() or self._open >= MAX_STREAMS:
            raise StreamsBusy(f"At most {MAX_STREAMS} pages are kept up to date at once; load the page again instead.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def _feed(self, stream: web.StreamResponse, asked: Query, request: web.Request) -> None:
        sent: dict[str, object] = {}
        quiet = 0
        while request.transport is not None:
            now = time.time()
            quiet += 1
            for one in await self._view.sections(asked, now):
                if one.name not in sent or sent[one.name] != one.mark:
                    await stream.write(_event("section", await in_slices(one.write())))
                    sent[one.name] = one.mark
                    quiet = 0
            if quiet >= _QUIET_LOOKS:
                await stream.write(_COMMENT)
                quiet = 0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)
                await stream.write(_event("stopping", ""))
                return


def _event(name: str, data: str) -> bytes:
    """Write an event. The HTML has no line ends, which would end its data: ``html`` escapes them."""
    return f"event: {name}\ndata: {data}\n\n".encode()
