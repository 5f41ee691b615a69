"""The open connections of a listener, and what they share: limits, deadlines, the response cache, the shutdown."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog
from aiohttp import web

from jwks_server.errors import BadRequest, Problem
from jwks_server.logs import Seldom
from jwks_server.options.settings import Limits
from jwks_server.serving.bridge import Answer
from jwks_server.serving.freed_memory import FreedMemory
from jwks_server.serving.response_cache import CachedResponse, ResponseCache
from jwks_server.stats import ServedBy, Traffic

_TICK_SECONDS = 1.0
_TICKS_A_DEADLINE = 4
_FINISHING_TICK_SECONDS = 0.05
# The part of the idle connections that is closed at once: to find the longest idle ones takes a sort.
_EVICTED_AT_ONCE = 1 / 64

_log = structlog.get_logger(__name__)

LogAccess = Callable[[str, bytes, int, int, ServedBy, float], None]


class Connection(Protocol):
    """What a member of the list must have."""

    since: float
    unanswered: bool
    admitted: bool

    @property
    def evictable(self) -> bool:
        """Whether it may be closed to make room."""

    def close(self) -> None:
        """Close at once."""

    def expire(self) -> None:
        """Close, if a deadline has passed."""


class Connections:
    """The list of the open connections, which also keeps their deadlines.

    Args:
        server: Makes aiohttp's protocols.
        limits: What a client may do, and how long it may take.
        cache: The response cache; None for none.
        traffic: Counts what clients did.
        log_access: Called for each answer with the client's address, the request, the status, the size of the
            reply, what served it, and when the request arrived; None for no access log.

    Attributes:
        time: The event loop's clock at the last tick: exact enough for deadlines, and cheap to read.
        draining: Whether each answer is its connection's last.
        private: Whether web pages of other origins may not read the refusals.
        finishing: Whether connections without a request are closed after a short wait.
    """

    def __init__(  # noqa: PLR0913 - what a listener's connections share
        self,
        server: web.Server,
        limits: Limits,
        cache: ResponseCache | None,
        traffic: Traffic,
        log_access: LogAccess | None = None,
        *,
        private: bool = False,
    ) -> None:
        self.server = server
        self.limits = limits
        self.traffic = traffic
        self.log_access = log_access
        self.time = asyncio.get_running_loop().time()
        self.private = private
        self.draining = False
        self._cut = False
        self.finishing = False
        self.find_response: Callable[[bytes], CachedResponse | None] = cache.find if cache else _nothing
        self._cache = cache
        self._unanswered: dict[Connection, None] = {}
        self._answered: dict[Connection, None] = {}
        self._empty = asyncio.Event()
        self._seldom = Seldom(_log)
        self._freed_memory = FreedMemory()

    @property
    def open(self) -> tuple[Connection, ...]:
        """The open connections."""
        return (*self._unanswered, *self._answered)

    def __len__(self) -> int:
        """Count the open connections."""
        return len(self._unanswered) + len(self._answered)

    def admit(self, connection: Connection) -> None:
        """Admit a connection. At the limit another one is closed for it; if none can be, this one is refused."""
        number = len(self._unanswered) + len(self._answered)
        if number >= self.limits.max_connections and not self._make_room():
            self.traffic.refused += 1
            self._seldom.warning("connection-refused", connections=len(self))
            connection.admitted = False
            return
        self.traffic.accepted += 1
        self._unanswered[connection] = None

    def note_response(self, connection: Connection) -> None:
        """Take note of a connection's first response."""
        connection.unanswered = False
        if self._unanswered.pop(connection, connection) is None:
            self._answered[connection] = None

    def forget(self, connection: Connection) -> None:
        """Take note of a connection's end."""
        self._unanswered.pop(connection, None)
        self._answered.pop(connection, None)
        self._freed_memory.closed += 1
        if self.finishing and not len(self):
            self._empty.set()

    @property
    def learns(self) -> bool:
        """Whether there is a cache; if not, no reply need be kept, and an event stream's would be kept for hours."""
        return self._cache is not None

    def learn(self, request: bytes, reply: bytes, answer: Answer) -> None:
        """Let the cache learn an answer, if it may be given again."""
        if self._cache and not self.draining:
            self._cache.learn(request, reply, answer)

    def count(self) -> None:
        """Add the cache's answers to the traffic."""
        if self._cache:
            self._cache.count()

    def note_refusal(self, peer: str, problem: Problem) -> None:
        """Count data that is not a request, and log it now and then."""
        reason = problem.reason if isinstance(problem, BadRequest) else problem.code
        self.traffic.bad_requests[reason] += 1
        self._seldom.info("bad-request", code=problem.code, reason=reason, remote=peer)

    def _make_room(self) -> bool:
        """Close the oldest connection that never completed a request, or else those that have been idle the longest."""
        oldest = next((one for one in self._unanswered if one.evictable), None)
        victims = [oldest] if oldest else []
        if not victims:
            idle = sorted((one for one in self._answered if one.evictable), key=lambda one: one.since)
            victims = idle[: 1 + int(len(idle) * _EVICTED_AT_ONCE)]
        for victim in victims:
            self.traffic.evicted += 1
            self.forget(victim)
            victim.close()
        if victims:
            self._seldom.warning("connection-evicted", connections=len(self))
        return bool(victims)

    async def keep_deadlines(self) -> None:
        """Close connections that miss a deadline; this never returns."""
        loop = asyncio.get_running_loop()
        tick = min(_TICK_SECONDS, self.limits.shortest / _TICKS_A_DEADLINE)
        while True:
            pause = _FINISHING_TICK_SECONDS if self.finishing else tick
            begun = loop.time()
            await asyncio.sleep(pause)
            self.time = loop.time()
            late = self.time - begun - pause
            self.traffic.lateness.add(max(0.0, late))
            self._forgive(late, tick)
            for connection in self.open:
                try:
                    connection.expire()
                except OSError:  # a failure of one client's socket must not stop the others' deadlines
                    connection.close()
            self._freed_memory.give_back(self.time)

    def _forgive(self, late: float, tick: float) -> None:
        """Move the deadlines after a pause of this process: what arrived in it has not been read yet."""
        if late > tick:
            for connection in self.open:
                connection.since += late

    def drain(self) -> None:
        """Make each answer its connection's last."""
        self.draining = True
        self.find_response = _nothing

    async def finish(self, seconds: float) -> None:
        """Wait until every connection has ended: the idle ones end soon, the others after their answer.

        Args:
            seconds: How long to wait; connections that are left then are closed at once.
        """
        self.drain()
        self.finishing = True
        self._empty.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._cut else seconds):
                if len(self):
                    await self._empty.wait()
        for connection in self.open:
            connection.close()

    def cut(self) -> None:
        """Close every connection at once, also those that ``finish`` waits for."""
        self._cut = True
        for connection in self.open:
            connection.close()
            self.forget(connection)


def _nothing(_request: bytes) -> None:
    """Find no response."""
