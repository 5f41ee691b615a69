"""The admin application, on a listener of its own: liveness, readiness, metrics, status, and a page for people."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar

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
    from jwks_server.serving.page.site import Site

T = TypeVar("T")

ENDPOINTS = ("/livez", "/readyz", "/metrics", "/status")
PAGE = ("/", "/events", "/page.css", "/page.js", "/page.svg")


def application(
    reported: Reported,
    hosts: Collection[str] = (),
    *,
    per_issuer: bool = False,
    stopping: asyncio.Event | None = None,
) -> web.Application:
    """Make the application.

    Args:
        reported: What the answers report on.
        hosts: The names, in lower case, under which it answers besides IP addresses and localhost.
        per_issuer: As in ``Metrics``.
        stopping: Set when the server stops, which ends the event streams.
    """

    async def livez(_request: web.Request) -> Response:
        return _text("ok\n")

    async def readyz(_request: web.Request) -> Response:
        if reason := reported.unready():
            raise NotReady(reason)
        return _text("ok\n")

    scraped = _once(partial(_load_metrics, reported, per_issuer=per_issuer))
    site = _once(partial(_load_site, reported, stopping or asyncio.Event()))
    report = Status(reported)

    async def metrics(request: web.Request) -> Response:
        parts, content_type = await (await scraped()).expose(request.headers.get("Accept", ""))
        return await _compressible(request, parts, {hdrs.CONTENT_TYPE: content_type, **_NO_STORE})

    async def status(request: web.Request) -> Response:
        fields = {hdrs.CONTENT_TYPE: "application/json", **_NO_STORE}
        return await _compressible(request, await report.document(), fields)

    async def page(request: web.Request) -> web.StreamResponse:
        answer = await (await site()).answer(request)
        if isinstance(answer, web.StreamResponse):
            return answer
        body, fields = answer
        return await _compressible(request, [body], fields)

    app = web.Application(middlewares=[_private, problems, _only_for(hosts)])
    handlers = (livez, readyz, metrics, status, *(page for _ in PAGE))
    for path, handler in zip((*ENDPOINTS, *PAGE), handlers, strict=True):
        app.router.add_get(path, handler)
        app.router.add_route("*", path, _no_method)
    app.router.add_route("*", "/{anything:.*}", _nothing)
    return app


def _load_metrics(reported: Reported, *, per_issuer: bool) -> "Metrics":
    from jwks_server.serving.metrics import Metrics  # noqa: PLC0415 - its library is loaded at the first scrape

    return Metrics(reported, per_issuer=per_issuer)


def _load_site(reported: Reported, stopping: asyncio.Event) -> "Site":
    from jwks_server.serving.page.site import Site  # noqa: PLC0415 - as above, when the page is first asked for

    return Site(reported, stopping)


def _once(load: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Load something in a thread when it is first needed; all get the same one."""
    loaded: list[T] = []

    async def get() -> T:
        if not loaded:
            one = await in_thread(load)
            if not loaded:  # another request came meanwhile
                loaded.append(one)
        return loaded[0]

    return get


_NO_STORE = {"Cache-Control": "no-store"}


async def _compressible(request: web.Request, parts: Sequence[Part], fields: Mapping[str, str]) -> Response:
    headers = {**fields, hdrs.VARY: hdrs.ACCEPT_ENCODING}
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
    raise NotFound(f"The admin listener serves {', '.join(ENDPOINTS)}, and a page for people at /.")
