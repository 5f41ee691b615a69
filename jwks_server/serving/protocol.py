"""aiohttp's protocol for one connection, with what is no HTTP answered and logged like any other error."""

import asyncio

import structlog
from aiohttp import web

from jwks_server.errors import BadRequest
from jwks_server.serving.reply import Reply, problem

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
        """Answer bytes that the parser refuses with 400, and close. The application answers all else."""
        del status, message
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the reply has been sent already")
        _log.debug("bad-request", code=BadRequest.code, reason=type(exc).__name__, remote=request.remote)
        reply = problem(BadRequest("What was sent is not an HTTP/1.1 request."))
        reply.force_close()
        return reply
