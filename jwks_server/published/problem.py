"""What is sent where no representation is: problem documents (RFC 9457), and the answer to a preflight request."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from jwks_server.errors import MethodNotAllowed, NoKeySet, NotFound, Problem, StreamsBusy
from jwks_server.published.representation import CORS, NO_SNIFFING

ALLOW = "GET, HEAD, OPTIONS"
METHODS = frozenset(ALLOW.split(", "))
MEDIA_TYPE = "application/problem+json"
PREFLIGHT = {
    "Allow": ALLOW,
    **CORS,
    "Access-Control-Allow-Methods": ALLOW,
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}
_RETRY_AFTER_SECONDS = "1"
# Somebody is looking at the pages that are open.
_STREAM_RETRY_AFTER_SECONDS = "10"


def nothing_here(jwks_path: str = "") -> NotFound:
    """Make the error of a path where nothing is.

    Args:
        jwks_path: Where the JWK Set of the key directory itself is, for those who ask at ``/``; the paths of other
            issuers may be the names of customers.
    """
    return NotFound(f"Nothing is served at this path{f'; the JWK Set is at {jwks_path}' if jwks_path else ''}.")


def document(error: Problem) -> bytes:
    """Write an error as a problem document."""
    return json.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(error.status).phrase,
            "status": error.status,
            "code": error.code,
            "detail": error.message,
        }
    ).encode()


def fields(error: Problem) -> Mapping[str, str]:
    """Return the header fields of a problem document, which caches must not store."""
    shared = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **CORS, **NO_SNIFFING}
    return {**shared, **_own_fields(error)}


def _own_fields(error: Problem) -> Mapping[str, str]:
    match error:
        case MethodNotAllowed():
            return {"Allow": error.allow}
        case NoKeySet():
            return {"Retry-After": _RETRY_AFTER_SECONDS}
        case StreamsBusy():
            return {"Retry-After": _STREAM_RETRY_AFTER_SECONDS}
        case _:
            return {}
