"""aiohttp's protocol for one connection, with what is no HTTP answered and logged like any other error."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod

from jwks_server.catalog import Edition
from jwks_server.errors import BadRequest, MethodNotAllowed
from jwks_server.serving.reply import ALLOW, Reply, problem
from jwks_server.serving.representation import Representation

_REQUEST_LINE = re.compile(r"\b[A-Za-z][A-Za-z-]* /[\x21-\x7e]* HTTP/1\.[01]\b")
# The idle deadline is kept for all connections at once; aiohttp sees only some of a connection's requests.
_NO_DEADLINE_SECONDS = 10 * 365 * 86400
# No request of ours has a body; one that comes all the same is read for as long, so that its reply isn't lost.
_BODY_SECONDS = 5

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that has been written.

    Attributes:
        edition: What it was made from, if it was made from the catalog.
        had_body: Whether the request had a body.
        closes: Whether the connection ends with it.
    """

    edition: Edition[Representation] | None
    had_body: bool
    closes: bool


class Protocol(web.RequestHandler):
    """One connection.

    Args:
        server: Counts the connections, so that shutdown can wait for them.
        answered: Called after each answer has been written.

    Attributes:
        edition: What the handler makes the answer in progress from; set by the handler.
    """

    __slots__ = ("_tell", "edition")

    def __init__(self, server: web.Server, answered: Callable[[Answered], None] | None = None) -> None:
        # A compressed body is never looked at: inflating one would hold the event loop.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own runner passes it to switch the log off
            auto_decompress=False,
            keepalive_timeout=_NO_DEADLINE_SECONDS,
            lingering_time=_BODY_SECONDS,
        )
        self._tell = answered
        self.edition: Edition[Representation] | None = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer, and tell."""
        finished = await super().finish_response(request, resp, start_time)
        edition, self.edition = self.edition, None
        if self._tell:
            self._tell(Answered(edition, request.body_exists, not finished[0].keep_alive))
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Reply:
        """Answer what the parser refuses, and close; the application answers all else.

        The parser knows a list of methods. Another one, in a request that is otherwise one, is as little
        allowed as those on it.
        """
        del status, message
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the reply has been sent already")
        _log.debug("bad-request", code=BadRequest.code, reason=type(exc).__name__, remote=request.remote)
        unknown_method = isinstance(exc, BadHttpMethod) and _REQUEST_LINE.search(str(exc))
        reply = problem(
            MethodNotAllowed(f"Only {ALLOW} are answered here.")
            if unknown_method
            else BadRequest("What was sent is not an HTTP request.")
        )
        reply.force_close()
        return reply
