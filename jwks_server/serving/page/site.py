"""The page's answers: the page itself, its events, its files."""

import asyncio
import time

from aiohttp import hdrs, web

from jwks_server.serving.compressed import Part
from jwks_server.serving.page.assets import load
from jwks_server.serving.page.outline import Query, query
from jwks_server.serving.page.stream import FIELDS, Streams
from jwks_server.serving.page.view import View
from jwks_server.serving.response import Response
from jwks_server.serving.status import Reported

# The page needs its own files and nothing else. It has no inline script or style, and no page can frame it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_FIELDS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    hdrs.CACHE_CONTROL: "no-store",
}


class Site:
    """The status page.

    Args:
        reported: What it shows.
        stopping: Set when the server stops.
    """

    def __init__(self, reported: Reported, stopping: asyncio.Event) -> None:
        self._view = View(reported)
        self._streams = Streams(self._view, stopping)
        self._assets = load()

    async def answer(self, request: web.Request) -> tuple[Part, dict[str, str]] | web.StreamResponse:
        """Answer a request: a body and its header fields, or a response that is finished."""
        if asset := self._assets.get(request.path):
            return Part(asset.data), {**_FIELDS, hdrs.CONTENT_TYPE: f"{asset.media_type}; charset=utf-8"}
        asked = _asked(request)
        if request.path == "/":
            page = await self._view.page(asked, time.time())
            return page, {**_FIELDS, hdrs.CONTENT_TYPE: "text/html; charset=utf-8"}
        if request.method == hdrs.METH_HEAD:
            return Response(headers={**_FIELDS, **FIELDS})
        return await self._streams.answer(request, asked, _FIELDS)


def _asked(request: web.Request) -> Query:
    return query(request.query.get("q", ""), request.query.get("page", ""))
