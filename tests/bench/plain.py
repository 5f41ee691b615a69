"""A JWK Set behind plain aiohttp on uvloop, as most programs do it: plain.py PORT BODY GZIPPED [CERTIFICATE KEY]."""

import ssl
import sys
from pathlib import Path

import uvloop
from aiohttp import web

_FILES = 4  # from here on in the arguments
_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "public, max-age=300, stale-if-error=86400",
    "Vary": "Accept-Encoding",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}


def main() -> None:
    """Serve until killed."""
    port, body, gzipped = int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes()

    async def jwks(request: web.Request) -> web.Response:
        coded = "gzip" in request.headers.get("Accept-Encoding", "")
        etag = '"gzip"' if coded else '"identity"'
        headers = {**_HEADERS, "ETag": etag}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        if coded:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=gzipped if coded else body, headers=headers)

    app = web.Application()
    app.router.add_get("/.well-known/jwks.json", jwks)
    uvloop.install()
    context = None
    if len(sys.argv) > _FILES:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[_FILES:])
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=context, access_log=None, print=None)


if __name__ == "__main__":
    main()
