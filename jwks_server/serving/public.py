"""The public aiohttp application: JWK Sets and discovery documents, and nothing else."""

from aiohttp import web
from aiohttp.typedefs import Handler

from jwks_server.errors import (
    MethodNotAllowed,
    NoKeySet,
    NotAcceptable,
    NotFound,
    PreconditionFailed,
    Problem,
)
from jwks_server.published import negotiation
from jwks_server.published.catalog import ROOT, Catalog, Edition
from jwks_server.published.representation import CORS, Representation
from jwks_server.serving.bridge import Bridge
from jwks_server.serving.response import ALLOW, Response, fault, problem

_PREFLIGHT = {
    "Allow": ALLOW,
    **CORS,
    "Access-Control-Allow-Methods": ALLOW,
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}


def application(catalog: Catalog, path: str) -> web.Application:
    """Make the application.

    Args:
        catalog: What is served now.
        path: Where the JWK Set is served, below each issuer's path.
    """

    async def answer(request: web.Request) -> Response:
        edition = catalog.current
        at = request.rel_url.raw_path
        page = edition.pages.get(at)
        if page is None and not _is_awaited(at, path, edition):
            raise NotFound("Nothing is served at this path.")
        match request.method:
            case "GET" | "HEAD":
                reply = _get(request, page)
            case "OPTIONS":
                reply = Response(status=204, headers=_PREFLIGHT)
            case _:
                raise MethodNotAllowed(f"Only {ALLOW} are answered here.", ALLOW)
        if isinstance(request.protocol, Bridge):
            request.protocol.edition = edition
        return reply

    app = web.Application(middlewares=[problems])
    app.router.add_route("*", "/{anything:.*}", answer, expect_handler=_ignore_expectation)
    return app


def _is_awaited(at: str, path: str, edition: Edition) -> bool:
    """Tell whether an issuer without a set will have its JWK Set there."""
    prefix = at.removesuffix(path)
    return prefix not in {at, ROOT} and (prefix or ROOT) in edition.awaited


async def _ignore_expectation(_request: web.Request) -> None:
    """Answer at once: no body is wanted, so a client need not go on with one (RFC 9110 section 10.1.1)."""


def _get(request: web.Request, page: Representation | None) -> Response:
    if page is None:
        raise NoKeySet("No key set has been loaded yet; try again.")
    headers = request.headers
    variant = negotiation.choose(page.variants, headers.getall("Accept-Encoding", []))
    if variant is None:
        raise NotAcceptable("Accept-Encoding rules out identity, gzip and br; allow one of them.")
    if not negotiation.match(headers.getall("If-Match", []), variant.etag):
        raise PreconditionFailed("If-Match names another version than the current one.")
    if not negotiation.none_match(headers.getall("If-None-Match", []), variant.etag):
        return Response(status=304, headers=variant.revalidated)
    return Response(body=variant.body, headers=variant.headers)


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
        return problem(fault(exc))
