"""The public aiohttp application: the JWK Set at its path, and nothing else."""

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from jwks_server.catalog import Catalog
from jwks_server.errors import (
    InternalError,
    MethodNotAllowed,
    NoKeySet,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    Problem,
)
from jwks_server.serving import negotiation
from jwks_server.serving.protocol import Protocol
from jwks_server.serving.reply import ALLOW, Reply, problem
from jwks_server.serving.representation import CORS, Representation

_PREFLIGHT = {
    "Allow": ALLOW,
    **CORS,
    "Access-Control-Allow-Methods": ALLOW,
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}

_log = structlog.get_logger(__name__)


def application(catalog: Catalog[Representation], path: str) -> web.Application:
    """Make the application.

    Args:
        catalog: What is served now.
        path: Where the JWK Set is served.
    """

    async def jwks(request: web.Request) -> Reply:
        match request.method:
            case "GET" | "HEAD":
                reply = _get_jwks(request, catalog, path)
            case "OPTIONS":
                reply = Reply(status=204, headers=_PREFLIGHT)
            case _:
                raise MethodNotAllowed(f"Only {ALLOW} are answered here.")
        if isinstance(request.protocol, Protocol):
            request.protocol.edition = catalog.current
        return reply

    app = web.Application(middlewares=[problems])
    app.router.add_route("*", path, jwks, expect_handler=_ignore_expectation)
    app.router.add_route("*", "/{anything:.*}", _not_found, expect_handler=_ignore_expectation)
    return app


async def _not_found(_request: web.Request) -> Reply:
    raise NotFound("Nothing is served at this path.")


async def _ignore_expectation(_request: web.Request) -> None:
    """Answer at once: no body is wanted, so a client need not go on with one (RFC 9110 section 10.1.1)."""


def _get_jwks(request: web.Request, catalog: Catalog[Representation], path: str) -> Reply:
    page = catalog.current.pages.get(path)
    if page is None:
        raise NoKeySet("No key set has been loaded yet; try again.")
    headers = request.headers
    variant = negotiation.choose(page.variants, headers.getall("Accept-Encoding", []))
    if variant is None:
        raise NotAcceptable("Accept-Encoding rules out identity, gzip and br; allow one of them.")
    if not negotiation.match(headers.getall("If-Match", []), variant.etag):
        raise PreconditionFailed("If-Match names another version of the set than the current one.")
    if not negotiation.none_match(headers.getall("If-None-Match", []), variant.etag):
        return Reply(status=304, headers=variant.revalidated)
    return Reply(body=variant.body, headers=variant.headers)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem document."""
    try:
        return await handler(request)
    except Problem as error:
        return problem(error)
    except web.HTTPNotFound:
        return problem(NotFound("Nothing is served at this path."))
    except Exception as exc:  # noqa: BLE001 - the top guard of a request
        _log.error("request-failed", code=InternalError.code, reason=type(exc).__name__, exc_info=exc)
        return problem(InternalError("The request met a fault of this server; it has been logged."))
