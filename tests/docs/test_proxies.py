"""The configurations of docs/how-to/behind-a-proxy.md work: a real server behind a real proxy."""

import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from nginx import nginx, proxy
from pages import pages
from support import Running, raw, serving

PAGE = pages()["docs/how-to/behind-a-proxy.md"]
REQUEST = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def block(language: str) -> str:
    """Read the page's configuration in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


async def answers(port: int, server: Running) -> None:
    """Insist that the proxy gives the server's own answer."""
    through, direct = await raw(port, REQUEST), await raw(server.port, REQUEST)
    assert through.startswith(b"HTTP/1.1 200"), through
    assert through.endswith(direct.partition(b"\r\n\r\n")[2])
    etag = re.search(rb'ETag: "[^"]+"', direct)
    assert etag is not None
    assert etag[0].lower() in through.lower()
    assert b"304" in (await raw(port, REQUEST.replace(b"\r\n\r\n", b"\r\nIf-None-Match: *\r\n\r\n"))).splitlines()[0]


async def test_nginx(tmp_path: Path, keys: Path) -> None:
    """With the page's lines nginx forwards requests, and names the client."""
    async with serving(keys, "--access-log", "--trusted-proxy", "127.0.0.1") as server:
        location = re.search(r"    location / \{.*?\n    \}", block("nginx"), re.DOTALL)
        assert location is not None
        async with nginx(tmp_path, location[0].replace("http://jwks", f"http://127.0.0.1:{server.port}")) as port:
            await answers(port, server)
        assert (await server.log("request"))["client"] == "127.0.0.1"


@asynccontextmanager
async def haproxy(tmp_path: Path, server: Running) -> AsyncIterator[int]:
    """Run HAProxy with the page's lines on a free port, which is given."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        pytest.skip("needs Debian's package haproxy")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = block("haproxy").replace("bind :80\n", f"bind 127.0.0.1:{port}\n")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}").replace("port 8081", f"port {server.admin}")
    (tmp_path / "haproxy.cfg").write_text(text)
    async with proxy(port, program, "-q", "-db", "-f", str(tmp_path / "haproxy.cfg")):
        yield port


async def test_haproxy(tmp_path: Path, keys: Path) -> None:
    """HAProxy with the page's lines checks the server, and forwards requests to it."""
    async with serving(keys) as server, haproxy(tmp_path, server) as port:
        await answers(port, server)
