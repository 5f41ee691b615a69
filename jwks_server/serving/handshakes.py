"""The TLS handshakes in progress: how many there are at once, and whose turn it is."""

import asyncio
import time
from collections import deque
from typing import Protocol

from jwks_server.serving.connections import Connections

# One takes up to 50 KiB until it is complete; a good client's takes two round trips.
_MAX_HANDSHAKES = 256
# A signature takes a tenth of a millisecond (P-256) to a few (RSA): others get their turn in between.
_SLICE_SECONDS = 0.004
# Those that follow each other so closely may belong to the same turn of the event loop.
_PAUSE_SECONDS = 0.001


class Handshaking(Protocol):
    """A connection that has sent a whole ClientHello."""

    def begin(self) -> None:
        """Begin the handshake."""

    def abort(self) -> None:
        """Close at once."""


class Handshakes:
    """Lets handshakes begin in the order of their hellos; at the limit the oldest one in progress is closed.

    A handshake begins at once. When a slice of time was spent on them without a pause, the next ones take turns.

    Args:
        connections: The listener's connections.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: deque[Handshaking] = deque()
        self._entered: dict[Handshaking, bool] = {}  # whether it waits for its turn
        self._last = 0.0
        self._spent = 0.0

    def waits(self, one: Handshaking) -> bool:
        """Return whether a handshake waits for its turn."""
        return self._entered.get(one, False)

    def enter(self, one: Handshaking) -> None:
        """Take in a handshake; it begins at once, unless others took too long."""
        if len(self._entered) >= _MAX_HANDSHAKES:
            oldest = next(iter(self._entered))
            del self._entered[oldest]
            self._connections.traffic.evicted += 1
            oldest.abort()
        begun = time.monotonic()
        if begun - self._last >= _PAUSE_SECONDS:
            self._spent = 0.0
        waits = bool(self._waiting) or self._spent >= _SLICE_SECONDS
        self._entered[one] = waits
        if not waits:
            one.begin()
            self._last = time.monotonic()
            self._spent += self._last - begun
            return
        self._waiting.append(one)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._take_turns)

    def leave(self, one: Handshaking) -> None:
        """Take note that a handshake is over."""
        self._entered.pop(one, None)

    def fail(self, one: Handshaking, *, handshake: bool) -> None:
        """Count a handshake that failed."""
        self.leave(one)
        if handshake:
            self._connections.traffic.bad_requests["handshake"] += 1

    def _take_turns(self) -> None:
        begun = time.monotonic()
        while self._waiting and time.monotonic() < begun + _SLICE_SECONDS:
            one = self._waiting.popleft()
            if self._entered.get(one):
                self._entered[one] = False
                one.begin()
        self._last = time.monotonic()
        self._spent = self._last - begun
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._take_turns)
