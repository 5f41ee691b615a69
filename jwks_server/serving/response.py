"""The one class of responses, and the replies to errors."""

from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web

from jwks_server.errors import InternalError, Problem
from jwks_server.published import problem as problems
from jwks_server.published.catalog import Edition
from jwks_server.published.freshness import Freshness

_log = structlog.get_logger(__name__)


class Unnamed(web.StreamResponse):
    """A response without the Server field, which would tell the server's and Python's versions."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers[hdrs.SERVER]


class Response(Unnamed, web.Response):
    """A whole response.

    Args:
        edition: The edition that it was made from; None if it was not made from the catalog.
        fresh: What its Cache-Control is made from; None if it is the same at any time.
        arguments: As aiohttp's.
    """

    def __init__(
        self,
        *,
        edition: Edition | None = None,
        fresh: Freshness | None = None,
        **arguments: Any,  # noqa: ANN401 - aiohttp's own
    ) -> None:
        super().__init__(**arguments)
        self.edition = edition
        self.fresh = fresh


def problem(error: Problem) -> Response:
    """Answer with a problem document, which caches must not store."""
    return Response(status=error.status, headers=problems.fields(error), body=problems.document(error))


def fault(exc: BaseException | None) -> InternalError:
    """Log a fault of this program; the client learns only that there was one."""
    _log.error("request-failed", code=InternalError.code, reason=type(exc).__name__, exc_info=exc)
    return InternalError("The server failed to handle the request; the failure has been logged.")


def refusal(error: Problem, *, to_head: bool = False, private: bool = False) -> bytes:
    """Write a problem document as finished bytes, for data that is not a request; the connection ends with it.

    Args:
        error: What is wrong.
        to_head: Whether the request is a HEAD, whose answer has no body.
        private: Whether web pages of other origins may not read it.
    """
    body = problems.document(error)
    fields = {
        **problems.fields(error),
        "Content-Length": str(len(body)),
        "Date": formatdate(usegmt=True),
        "Connection": "close",
    }
    if private:
        del fields[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN]
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join((*lines, "", "")).encode("ascii") + (b"" if to_head else body)
