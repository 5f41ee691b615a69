"""Sockets that are bound before they accept connections."""

import socket
import stat
from pathlib import Path

import pytest

from jwks_server.address import Address, Descriptor, UnixAddress
from jwks_server.options.settings import Listening
from jwks_server.serving import sockets

HOW = Listening(public=())


def test_a_bound_port_refuses_clients() -> None:
    """Until somebody listens, a client is refused at once, so that it asks another replica."""
    (one,) = sockets.taken(Address("127.0.0.1", 0), HOW)
    with one, socket.socket() as client:
        assert client.connect_ex(one.getsockname()) != 0
        assert not one.get_inheritable()


def test_every_address_of_the_machine() -> None:
    """An empty host is every address, in each family that the kernel has."""
    found = sockets.taken(Address("", 0), HOW)
    families = {one.family for one in found}
    for one in found:
        one.close()
    assert socket.AF_INET in families
    assert len(families) == len(found)


def test_a_unix_socket_is_made_when_it_is_opened(tmp_path: Path) -> None:
    """Before, its path is only looked at: another process that starts now would take it for a dead one's."""
    path = tmp_path / "a.sock"
    assert not sockets.taken(UnixAddress(path), HOW)
    assert not path.exists()
    with sockets.unix(str(path), 0o600):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not sockets.taken(UnixAddress(path), HOW)  # it is dead now
    with sockets.unix(str(path), 0o600) as later:
        later.listen()
        with pytest.raises(OSError, match="Address already in use"):
            sockets.taken(UnixAddress(path), HOW)
    with pytest.raises(FileNotFoundError):
        sockets.taken(UnixAddress(tmp_path / "none" / "a.sock"), HOW)


def test_a_descriptor_must_listen() -> None:
    """A socket that doesn't listen is refused, and closed."""
    with socket.socket() as idle, pytest.raises(OSError, match="not a listening socket"):
        sockets.taken(Descriptor(idle.detach()), HOW)
