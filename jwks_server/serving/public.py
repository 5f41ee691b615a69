"""The public aiohttp application, which serves JWK Sets and discovery documents and nothing else."""

import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from jwks_server.errors import (
    MethodNotAllowed,
    NoKeySet,
    NotAcceptable,
    PreconditionFailed,
    Problem,
)
from jwks_server.published import negotiation
from jwks_server.published.catalog import ROOT, Catalog, Edition
from jwks_server.published.problem import ALLOW, PREFLIGHT, nothing_here
from jwks_server.published.representation import Representation
from jwks_server.serving.response import Response, fault, problem


def application(catalog: Catalog, path: str, clock: Callable[[], float] = time.time) -> web.Application:
    """Make the application.

    Args:
        catalog: What is served now.
        path: Where the JWK Set is served, below each issuer's path.
        clock: The time that the keys live by, in seconds since the epoch.
    """

    async def answer(request: web.Request) -> Response:
        edition = catalog.current
        url_path = request.rel_url.raw_path
        page = edition.pages.get(url_path)
        if page is None and not _is_awaited(url_path, path, edition):
            raise nothing_here(path if url_path == ROOT and path in edition.pages else "")
        match request.method:
            case "GET" | "HEAD":
                return _get(request, page, edition, clock())
            case "OPTIONS":
                return Response(edition=edition, status=204, headers=PREFLIGHT)
            case _:
                raise MethodNotAllowed(f"Only {ALLOW} are answered here.", ALLOW)

    app = web.Application(middlewares=[problems])
    app.router.add_route("*", "/{anything:.*}", answer, expect_handler=_ignore_expectation)
    return app


def _is_awaited(url_path: str, path: str, edition: Edition) -> bool:
    """Return whether an issuer that has no set yet will serve its JWK Set at a URL path."""
    prefix = url_path.removesuffix(path)
    return prefix not in {url_path, ROOT} and (prefix or ROOT) in edition.awaited


async def _ignore_expectation(_request: web.Request) -> None:
    """Answer at once: no body is read, so a client need not send one (RFC 9110 section 10.1.1)."""


def _get(request: web.Request, page: Representation | None, edition: Edition, now: float) -> Response:
    if page is None:
        raise NoKeySet("No key set has been loaded yet; try again.")
    headers = request.headers
    variant = negotiation.choose(page.variants, headers.getall("Accept-Encoding", []))
    if variant is None:
        raise NotAcceptable("Accept-Encoding excludes identity, gzip and br; allow one of them.")
    if not negotiation.match(headers.getall("If-Match", []), variant.etag):
        raise PreconditionFailed("If-Match does not name the current version.")
    fresh = page.freshness
    control = {"Cache-Control": fresh.cache_control(now)}
    if not negotiation.none_match(headers.getall("If-None-Match", []), variant.etag):
        return Response(edition=edition, fresh=fresh, status=304, headers={**variant.revalidated, **control})
    return Response(edition=edition, fresh=fresh, body=variant.body, headers={**variant.headers, **control})


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem document."""
    try:
        return await handler(request)
    except Problem as error:
        return problem(error)
    except web.HTTPNotFound:
        return problem(nothing_here())
    except Exception as exc:  # noqa: BLE001 - the top guard of a request
        return problem(fault(exc))
