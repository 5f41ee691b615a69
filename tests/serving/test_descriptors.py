"""How many connections the limit on file descriptors allows."""

import resource

import pytest

from jwks_server.errors import ConfigError
from jwks_server.serving.descriptors import room_for_connections


def test_room_for_connections() -> None:
    """There is room for as many connections as descriptors, less a reserve; asking for more is an error."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = 50_096 if most == resource.RLIM_INFINITY else most
    assert room_for_connections(0) == min(50_000, descriptors - 96)
    assert room_for_connections(5) == 5
    with pytest.raises(ConfigError, match="LimitNOFILE="):
        room_for_connections(descriptors - 95)


def test_the_limit_is_raised() -> None:
    """The soft limit on file descriptors is raised to the hard one."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before, 1000), most))
    room_for_connections(0)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == (50_096 if most == resource.RLIM_INFINITY else most)
