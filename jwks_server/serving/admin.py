"""The admin application, on a listener of its own: liveness, readiness, metrics, status."""

import json
from collections.abc import Collection
from ipaddress import ip_address

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from jwks_server.errors import HostNotServed, MethodNotAllowed, NotFound, NotReady
from jwks_server.serving.public import problems
from jwks_server.serving.response import Response
from jwks_server.serving.status import Reported, status

ENDPOINTS = ("/livez", "/readyz", "/metrics", "/status")


def application(reported: Reported, hosts: Collection[str] = ()) -> web.Application:
    """Make the application.

    Args:
        reported: What the answers report on.
        hosts: The names, in lower case, under which it answers besides IP addresses and localhost.
    """

    @web.middleware
    async def known_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a name that a web page's owner can make resolve to this machine (DNS rebinding)."""
        given = request.headers.get(hdrs.HOST)  # HTTP/1.0 has none, and no browser sends it
        if given is not None and not _is_known(given, hosts):
            raise HostNotServed("The admin listener answers under IP addresses, localhost and --admin-host names only.")
        return await handler(request)

    async def livez(_request: web.Request) -> Response:
        return _text("ok\n")

    async def readyz(_request: web.Request) -> Response:
        if reason := reported.unready():
            raise NotReady(reason)
        return _text("ok\n")

    async def metrics(request: web.Request) -> Response:
        from jwks_server.serving.metrics import expose  # noqa: PLC0415 - its library is loaded at the first scrape

        body, content_type = expose(reported, request.headers.get("Accept", ""))
        return Response(body=body, headers={"Content-Type": content_type, **_NO_STORE})

    async def status_(_request: web.Request) -> Response:
        body = json.dumps(status(reported), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return Response(body=body + b"\n", headers={"Content-Type": "application/json", **_NO_STORE})

    app = web.Application(middlewares=[_private, problems, known_host])
    for path, handler in zip(ENDPOINTS, (livez, readyz, metrics, status_), strict=True):
        app.router.add_get(path, handler)
        app.router.add_route("*", path, _no_method)
    app.router.add_route("*", "/{anything:.*}", _nothing)
    return app


_NO_STORE = {"Cache-Control": "no-store"}


def _text(text: str) -> Response:
    return Response(text=text, headers=_NO_STORE)


def _is_known(given: str, hosts: Collection[str]) -> bool:
    """Tell whether a Host field's value, with its port or without, may be answered."""
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
