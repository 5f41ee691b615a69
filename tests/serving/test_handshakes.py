"""Handshakes begin at once, take turns in a crowd, and the oldest one makes room."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from jwks_server.serving import handshakes as module
from jwks_server.serving.handshakes import Handshakes
from jwks_server.stats import Traffic


class Clock:
    """A clock that only the handshakes move: each takes a millisecond."""

    now = 1000.0

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now


class Fake:
    """A handshake that notes what happens to it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.begun = self.aborted = False

    def begin(self) -> None:
        """Begin."""
        self.begun = True
        self.clock.now += 0.001

    def abort(self) -> None:
        """End."""
        self.aborted = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


async def test_crowd(clock: Clock) -> None:
    """In a crowd each has its turn; beyond the limit the oldest is closed, and one that waits never begins."""
    traffic = Traffic()
    connections: Any = SimpleNamespace(traffic=traffic)
    handshakes = Handshakes(connections)
    crowd = [Fake(clock) for _ in range(300)]
    for one in crowd:
        handshakes.enter(one)
    at_once = [one for one in crowd if one.begun]
    assert crowd[: len(at_once)] == at_once
    assert 0 < len(at_once) < 10
    assert [one.aborted for one in crowd] == [True] * 44 + [False] * 256
    turns = 0
    while not crowd[-1].begun:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 20
    assert [one for one in crowd if one.begun] == at_once + crowd[44:]
    assert traffic.evicted == 44
    handshakes.fail(crowd[-1], handshake=True)
    assert traffic.bad_requests == {"handshake": 1}


async def test_no_crowd(clock: Clock) -> None:
    """Handshakes that follow each other after a pause begin at once, however many there are."""
    connections: Any = SimpleNamespace(traffic=Traffic())
    handshakes = Handshakes(connections)
    for _ in range(50):
        one = Fake(clock)
        handshakes.enter(one)
        assert one.begun
        handshakes.leave(one)
        clock.now += 0.002
