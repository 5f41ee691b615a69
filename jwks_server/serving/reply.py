"""The one kind of response, and the errors among them (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web

from jwks_server.errors import MethodNotAllowed, NoKeySet, Problem
from jwks_server.serving.representation import CORS, NO_SNIFFING

ALLOW = "GET, HEAD, OPTIONS"
_RETRY_AFTER_SECONDS = "1"


class Reply(web.Response):
    """A response without the banner that tells the server's and Python's versions."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        del self.headers[hdrs.SERVER]


def problem(error: Problem) -> Reply:
    """Answer with a problem document; caches must not keep it."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": error.message,
    }
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **CORS, **NO_SNIFFING}
    return Reply(status=error.status, headers={**headers, **_own_headers(error)}, body=json.dumps(document).encode())


def _own_headers(error: Problem) -> Mapping[str, str]:
    match error:
        case MethodNotAllowed():
            return {"Allow": ALLOW}
        case NoKeySet():
            return {"Retry-After": _RETRY_AFTER_SECONDS}
        case _:
            return {}
