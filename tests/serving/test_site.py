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
from jwks_server.serving.site import opened, prepared, taken
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
    how = Listening(public=tuple(UnixAddress(path) for path in paths))
    with taken(how.public, how, name="public") as listeners:
        async with prepared(application(catalog, PATH), Limits(max_connections=10), Traffic()) as connections:
            async with opened(connections, listeners, shutdown_timeout=1.0):
                assert [await ask(path) for path in paths] == [[200], [200]]
            assert not any(path.exists() for path in paths)
            assert connections.traffic.accepted == 2


@pytest.mark.parametrize(("name", "flag"), [("public", "--bind"), ("admin", "--admin-bind")])
def test_one_address_of_two_is_in_use(name: str, flag: str) -> None:
    """Then the error names the option, and the other address is free again."""
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as used:
        free = other.getsockname()
        other.close()
        addresses = (Address(*free), Address("127.0.0.1", used.getsockname()[1]))
        with pytest.raises(ListenError, match=flag), taken(addresses, Listening(public=()), name=name):
            raise AssertionError("they must not be taken")
        with socket.create_server(free):
            pass
