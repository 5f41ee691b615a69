"""The admin application, on a listener of its own: liveness, readiness, metrics, status."""

from collections.abc import Collection, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from jwks_server.errors import HostNotServed, MethodNotAllowed, NotFound, NotReady
from jwks_server.published import negotiation
from jwks_server.serving.compressed import Part, gzipped
from jwks_server.serving.public import problems
from jwks_server.serving.response import Response
from jwks_server.serving.status import Reported, Status
from jwks_server.threads import in_thread

if TYPE_CHECKING:
    from jwks_server.serving.metrics import Metrics

ENDPOINTS = ("/livez", "/readyz", "/metrics", "/status")


def application(reported: Reported, hosts: Collection[str] = (), *, per_issuer: bool = False) -> web.Application:
    """Make the application.

    Args:
        reported: What the answers report on.
        hosts: The names, in lower case, under which it answers besides IP addresses and localhost.
        per_issuer: As in ``Metrics``.
    """

    async def livez(_request: web.Request) -> Response:
        return _text("ok\n")

    async def readyz(_request: web.Request) -> Response:
        if reason := reported.unready():
            raise NotReady(reason)
        return _text("ok\n")

    page: Metrics | None = None
    report = Status(reported)

    def load() -> "Metrics":
        from jwks_server.serving.metrics import Metrics  # noqa: PLC0415 - its library is loaded at the first scrape

        return Metrics(reported, per_issuer=per_issuer)

    async def metrics(request: web.Request) -> Response:
        nonlocal page
        if page is None:
            page = await in_thread(load)
        parts, content_type = await page.expose(request.headers.get("Accept", ""))
        return await _compressible(request, parts, content_type)

    async def status(request: web.Request) -> Response:
        return await _compressible(request, await report.document(), "application/json")

    app = web.Application(middlewares=[_private, problems, _only_for(hosts)])
    for path, handler in zip(ENDPOINTS, (livez, readyz, metrics, status), strict=True):
        app.router.add_get(path, handler)
        app.router.add_route("*", path, _no_method)
    app.router.add_route("*", "/{anything:.*}", _nothing)
    return app


_NO_STORE = {"Cache-Control": "no-store"}


async def _compressible(request: web.Request, parts: Sequence[Part], content_type: str) -> Response:
    headers = {"Content-Type": content_type, "Vary": hdrs.ACCEPT_ENCODING, **_NO_STORE}
    if negotiation.accepts("gzip", request.headers.getall(hdrs.ACCEPT_ENCODING, [])):
        return Response(body=await gzipped(parts), headers={**headers, "Content-Encoding": "gzip"})
    return Response(body=b"".join(part.data for part in parts), headers=headers)


def _text(text: str) -> Response:
    return Response(text=text, headers=_NO_STORE)


def _only_for(hosts: Collection[str]) -> Middleware:
    """Make the check of the Host field: a web page can make any name resolve to this machine (DNS rebinding)."""

    @web.middleware
    async def known_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(hdrs.HOST)  # HTTP/1.0 has none, and no browser sends it
        if given is not None and not _is_known(given, hosts):
            raise HostNotServed("The admin listener answers under IP addresses, localhost and --admin-host names only.")
        return await handler(request)

    return known_host


def _is_known(given: str, hosts: Collection[str]) -> bool:
    """Report whether a Host field's value, with its port or without, may be answered."""
    host = given[1:].partition("]")[0] if given.startswith("[") else given.partition(":")[0]
    name = host.lower().removesuffix(".")
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name in hosts
    return True


@web.middleware
async def _private(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let no web page read the answers, unlike those of the public listener."""
    reply = await handler(request)
    reply.headers.pop(hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, None)
    return reply


async def _no_method(_request: web.Request) -> Response:
    raise MethodNotAllowed("Only GET and HEAD are answered here.", allow="GET, HEAD")


async def _nothing(_request: web.Request) -> Response:
    raise NotFound(f"The admin listener serves {', '.join(ENDPOINTS)}.")
