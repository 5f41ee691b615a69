"""The one kind of response, and the errors among them (RFC 9457)."""

import json
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

import structlog
from aiohttp import hdrs, web

from jwks_server.errors import InternalError, MethodNotAllowed, NoKeySet, Problem
from jwks_server.published.representation import CORS, NO_SNIFFING

ALLOW = "GET, HEAD, OPTIONS"
_RETRY_AFTER_SECONDS = "1"

_log = structlog.get_logger(__name__)


class Response(web.Response):
    """A response without the banner that tells the server's and Python's versions."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers[hdrs.SERVER]


def problem(error: Problem) -> Response:
    """Answer with a problem document; caches must not keep it."""
    return Response(status=error.status, headers=_headers(error), body=_document(error))


def fault(exc: BaseException | None) -> InternalError:
    """Log a fault of this program's, and tell the client no more than that."""
    _log.error("request-failed", code=InternalError.code, reason=type(exc).__name__, exc_info=exc)
    return InternalError("The request met a fault of this server; it has been logged.")


def refusal(error: Problem, *, to_head: bool = False) -> bytes:
    """Write the same answer to what is no request, as finished bytes; the connection ends with it."""
    body = _document(error)
    fields = {
        **_headers(error),
        "Content-Length": str(len(body)),
        "Date": formatdate(usegmt=True),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join((*lines, "", "")).encode("ascii") + (b"" if to_head else body)


def _document(error: Problem) -> bytes:
    document = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": error.message,
    }
    return json.dumps(document).encode()


def _headers(error: Problem) -> Mapping[str, str]:
    shared = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **CORS, **NO_SNIFFING}
    return {**shared, **_own_headers(error)}


def _own_headers(error: Problem) -> Mapping[str, str]:
    match error:
        case MethodNotAllowed():
            return {"Allow": error.allow}
        case NoKeySet():
            return {"Retry-After": _RETRY_AFTER_SECONDS}
        case _:
            return {}
