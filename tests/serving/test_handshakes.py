"""Handshakes take turns, and the oldest one makes room."""

import asyncio
from types import SimpleNamespace
from typing import Any

from jwks_server.serving.handshakes import Handshakes
from jwks_server.stats import Traffic


class Fake:
    """A handshake that notes what happens to it."""

    def __init__(self) -> None:
        self.begun = self.aborted = False

    def begin(self) -> None:
        """Begin."""
        self.begun = True

    def abort(self) -> None:
        """End."""
        self.aborted = True


async def test_crowd() -> None:
    """In a crowd each has its turn; beyond the limit the oldest is closed and never begins."""
    traffic = Traffic()
    connections: Any = SimpleNamespace(traffic=traffic)
    handshakes = Handshakes(connections)
    crowd = [Fake() for _ in range(300)]
    for one in crowd:
        handshakes.enter(one)
    assert crowd[0].begun
    assert [one.aborted for one in crowd] == [True] * 44 + [False] * 256
    while not crowd[-1].begun:
        await asyncio.sleep(0)
    assert all(one.begun for one in crowd[44:])
    assert traffic.evicted == 44
    handshakes.fail(crowd[-1], handshake=True)
    assert traffic.bad_requests == {"handshake": 1}
