"""An application at its addresses."""

import asyncio
import socket
from pathlib import Path

import pytest
from sites import GET, PATH, statuses
from support import HANG_SECONDS

from jwks_server.address import Address, UnixAddress
from jwks_server.errors import ListenError
from jwks_server.options.settings import Limits, Listening
from jwks_server.published.catalog import Catalog
from jwks_server.serving.public import application
from jwks_server.serving.site import opened, prepared
from jwks_server.stats import Traffic

LAST = GET[:-2] + b"Connection: close\r\n\r\n"


async def ask(path: Path) -> list[int]:
    """Ask at a unix socket."""
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(LAST)
        reply = await reader.read()
        writer.close()
    return list(statuses(reply))


async def test_several_addresses(tmp_path: Path, catalog: Catalog) -> None:
    """Every address is served from the same catalog; their sockets are gone in the end."""
    paths = (tmp_path / "a.sock", tmp_path / "b.sock")
    how = Listening(public=tuple(UnixAddress(path) for path in paths), shutdown_timeout=1.0)
    async with prepared(application(catalog, PATH), Limits(max_connections=10), Traffic()) as connections:
        async with opened(connections, how.public, how, name="public"):
            assert [await ask(path) for path in paths] == [[200], [200]]
        assert not any(path.exists() for path in paths)
        assert connections.traffic.accepted == 2


@pytest.mark.parametrize(("name", "flag"), [("public", "--bind"), ("admin", "--admin-bind")])
async def test_one_address_of_two_is_taken(tmp_path: Path, catalog: Catalog, name: str, flag: str) -> None:
    """Then the error names the option, and the other address is closed again."""
    path = tmp_path / "a.sock"
    how = Listening(public=(), shutdown_timeout=0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addresses = (UnixAddress(path), Address("127.0.0.1", taken.getsockname()[1]))
        async with prepared(application(catalog, PATH), Limits(max_connections=10), Traffic()) as connections:
            with pytest.raises(ListenError, match=flag):
                async with opened(connections, addresses, how, name=name):
                    raise AssertionError("it must not be open")
    assert not path.exists()
