"""Rolling restarts under load: no request is without its whole answer."""

from pathlib import Path

import pytest
from rollouts import by_kubernetes, by_reuse_port
from support import key, public_pem

_ANSWERS = 1_000
_PACE = 200


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a directory with a key."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    return tmp_path


async def test_reuse_port(keys: Path) -> None:
    """With --reuse-port a new process takes over from the old one."""
    clients, _ = await by_reuse_port(keys, _ANSWERS, _PACE)
    assert clients.lost == {}


async def test_kubernetes(keys: Path) -> None:
    """A pod answers until it is no endpoint any more, however long after SIGTERM, if --drain is as long."""
    clients, _ = await by_kubernetes(keys, _ANSWERS, _PACE)
    assert clients.lost == {}
