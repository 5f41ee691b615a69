"""aiohttp's protocol for one connection, with what is no HTTP answered and logged like any other error."""

import asyncio
import re

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod

from jwks_server.errors import BadRequest, MethodNotAllowed
from jwks_server.serving.reply import ALLOW, Reply, problem

_REQUEST_LINE = re.compile(r"\b[A-Za-z][A-Za-z-]* /[\x21-\x7e]* HTTP/1\.[01]\b")

_log = structlog.get_logger(__name__)


class Protocol(web.RequestHandler):
    """One connection.

    Args:
        server: Counts the connections, so that shutdown can wait for them.
    """

    __slots__ = ()

    def __init__(self, server: web.Server) -> None:
        # A compressed body is never looked at: inflating one would hold the event loop.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own runner passes it to switch the log off
            auto_decompress=False,
        )

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
