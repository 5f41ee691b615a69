"""nginx, serving a folder of files as a static host does, or a server's replies as a cache."""

import asyncio
import getpass
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support import HANG_SECONDS

_CONFIGURATION = """
daemon off;
user {user};
pid {home}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    types {{ application/json json; }}
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    proxy_cache_path {home}/cache keys_zone=cache:1m;
    server {{ listen 127.0.0.1:{port}; root {root}; {more} }}
}}
"""


@asynccontextmanager
async def nginx(root: Path, more: str = "") -> AsyncIterator[int]:
    """Serve a folder on a free port, which is given, with more lines of configuration; skip where there is no nginx."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("needs Debian's package nginx-light")
    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        configuration = Path(home) / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(home=home, port=port, root=root, more=more, user=getpass.getuser())
        )
        async with proxy(port, program, "-c", str(configuration), "-e", "stderr"):
            yield port


def caching(port: int) -> str:
    """Write the lines that make nginx a cache of a server; X-Cache says where each reply came from."""
    return f"""
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_cache cache;
            add_header X-Cache $upstream_cache_status;
        }}
    """


@asynccontextmanager
async def proxy(port: int, *command: str) -> AsyncIterator[None]:
    """Run a proxy, which listens at a port."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await _listening(port, process)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until a proxy answers at its port."""
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise AssertionError("the proxy ended")
