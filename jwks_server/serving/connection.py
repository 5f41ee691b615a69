"""A protocol in front of aiohttp's: a request that was answered before gets the same bytes again.

It finds where a head ends, refuses what aiohttp is lax about (``head``), and keeps a connection's order and deadlines.
What a request means it leaves to aiohttp and the application at work: it learns pairs of request and reply bytes from
them. What keeps that true:

1. Heads go to aiohttp one at a time, whole, each once the answer to the one before has been written; so a reply never
   overtakes another, and whatever aiohttp writes in between is the reply to that head.
2. A request that may be followed by anything but a request (a body, another protocol) is its connection's last. Its
   body is read for a while, so that the reply isn't lost, and thrown away.
3. A pair is learned only where the application answered from the catalog's current edition, and the memory belongs to
   one edition: asked after a publication, it knows nothing from before it.
4. Fields that no handler reads don't count, in a request of plain printable lines; every other byte does.
5. Of a reply only the value of Date is written anew, each second.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import cast

from jwks_server.errors import Problem, RequestTimeout
from jwks_server.serving import request_head
from jwks_server.serving.bridge import Answer, Bridge, RecordingTransport
from jwks_server.serving.connections import Connections
from jwks_server.serving.response import refusal
from jwks_server.serving.response_cache import now
from jwks_server.stats import Deadline, ServedBy

# So many requests that came at once are answered before it is other connections' turn.
_BURST = 16
# At the end a connection that was in use just now gets the chance to be told that it closes, with an answer.
_LAST_CALL_SECONDS = 1.0


class _Phase(Enum):
    READING = auto()  # at a message boundary, or amid a head
    ANSWERING = auto()  # aiohttp has a head and hasn't answered it yet
    LINGERING = auto()  # the last reply is out; what still comes is read and thrown away


class HttpConnection(asyncio.Protocol):
    """One connection.

    Attributes:
        since: When it last got anywhere, by the connections' clock: it began, a head began, a reply went out.
        unanswered: Whether it has never been given a reply.
        admitted: Whether there is room for it.
    """

    # Defaults of the class: a connection that is answered from memory needs few of them.
    unanswered = True
    admitted = True
    _ready = False  # at a message boundary, with nothing else to do first
    _phase = _Phase.READING
    _bridge: Bridge | None = None
    _recorder: RecordingTransport | None = None
    _heads: request_head.RequestHeads | None = None  # what has come and isn't answered yet
    _head = b""  # the head that aiohttp is answering
    _last = False  # whether it must be the connection's last one
    _write_paused = False  # the client doesn't read
    _eof = False  # the client will send no more
    _scheduled = False  # the next burst of requests
    _discarded = 0
    _timed_out = False
    _unsent = 0
    # Over TLS the first bytes can come before the connection is said to be made.
    _transport = cast("asyncio.Transport", None)

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.since = connections.time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there is no room."""
        self._transport = cast("asyncio.Transport", transport)
        if not self.admitted:
            self._transport.abort()
        elif self._heads:
            self._answer_buffered()
        else:
            self._ready = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._ready = self.admitted = False
        self._phase = _Phase.LINGERING
        self._connections.forget(self)
        if self._bridge:
            self._bridge.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer from memory, or let aiohttp answer."""
        if self._ready:
            connections = self._connections
            reply = connections.find_response(data)
            if reply is not None:
                reply.hits += 1
                self._transport.write(reply.at(now()))
                self.since = connections.time
                if reply.closes:
                    self._transport.close()
                elif self.unanswered:
                    connections.note_response(self)
                if connections.log_access:
                    connections.log_access(self.peer, data, reply.answer.status, reply.answer.size, "cache")
                return
            if request_head.is_whole(data) and len(data) <= connections.limits.max_head:
                self._forward(data)
                return
        self._buffer(data)

    def _buffer(self, data: bytes) -> None:
        """Keep what can't be answered at once."""
        if self._phase is _Phase.LINGERING:
            self._discarded += len(data)
            if self._discarded > self._connections.limits.max_body:
                self._transport.close()
            return
        if not self._heads:
            self._heads = request_head.RequestHeads(self._connections.limits.max_head)
            if not request_head.is_blank(data):
                self.since = self._connections.time
        self._heads.feed(data)
        if not self._transport:
            return
        if self._phase is _Phase.READING and not self._scheduled:
            self._answer_buffered()
        elif len(self._heads) > self._connections.limits.max_head:
            self._transport.pause_reading()

    def _answer_buffered(self) -> None:
        """Answer the heads that are there."""
        self._scheduled = False
        for _ in range(_BURST):
            if self._phase is not _Phase.READING or self._write_paused or self._transport.is_closing():
                return
            try:
                request = self._heads.cut() if self._heads else None
            except Problem as problem:
                self._refuse(problem, self._heads.beginning if self._heads else b"")
                return
            if request is None:
                self._await_more()
                return
            reply = self._connections.find_response(request)
            if reply is None:
                self._forward(request)
                return
            reply.hits += 1
            self._transport.write(reply.at(now()))
            self._replied(request, reply.answer.status, reply.answer.size, "cache", closes=reply.closes)
        if self._phase is _Phase.READING:
            self._ready, self._scheduled = False, True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._answer_buffered)

    def _await_more(self) -> None:
        if self._eof:
            self._transport.close()
        else:
            self._ready = not self._heads and not self._write_paused
            if not self._write_paused:
                self._resume_reading()

    def _forward(self, request: bytes) -> None:
        """Let aiohttp answer."""
        try:
            self._last = request_head.ends_connection(request, self._connections.limits.max_fields)
        except Problem as problem:
            self._refuse(problem, request)
            return
        self._ready, self._phase, self._head = False, _Phase.ANSWERING, request
        if self._bridge is None:
            self._recorder = RecordingTransport(self._transport, self._end)
            self._bridge = Bridge(self._connections.server, self._connections.limits, self)
            self._bridge.connection_made(cast("asyncio.Transport", self._recorder))
        if self._recorder and not self._last:
            self._recorder.begin()
        self._bridge.data_received(request)

    def must_close(self) -> bool:
        """Tell whether the answer in progress is the connection's last."""
        return self._last or self._connections.draining

    @property
    def is_head_request(self) -> bool:
        """Whether the answer in progress must have no body."""
        return request_head.is_head_request(self._head)

    def refused(self, problem: Problem) -> None:
        """Take note that aiohttp found that the request is none."""
        self._last = True
        self._connections.note_refusal(self.peer, problem)

    def answered(self, answer: Answer) -> None:
        """Take note that aiohttp has written an answer, and learn it if it may be learned."""
        written = self._recorder.end() if self._recorder else b""
        if self._phase is not _Phase.ANSWERING:
            return
        if not self._last:
            self._connections.learn(self._head, written, answer)
        self._connections.traffic.answers[answer.status, "application"] += 1
        self._phase = _Phase.READING
        self._replied(self._head, answer.status, answer.size, "application", closes=answer.closes)
        if self._phase is _Phase.READING:
            if self._heads or self._eof:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._answer_buffered)
            else:
                self._await_more()

    def _replied(self, request: bytes, status: int, size: int, served_by: ServedBy, *, closes: bool) -> None:
        self.since = self._connections.time
        if self.unanswered:
            self._connections.note_response(self)
        if self._connections.log_access:
            self._connections.log_access(self.peer, request, status, size, served_by)
        if closes:
            self._end()

    def _refuse(self, problem: Problem, request: bytes = b"") -> None:
        """Answer what is no request, or has not become one, and end the connection."""
        self._last = True
        self._connections.note_refusal(self.peer, problem)
        reply = refusal(problem, to_head=request_head.is_head_request(request))
        self._transport.write(reply)
        self._connections.traffic.answers[problem.status, "application"] += 1
        self._replied(b"", problem.status, len(reply), "application", closes=True)

    def _end(self) -> None:
        """End the connection once what is written has gone out, without a reset where more is still coming in."""
        if self._phase is _Phase.LINGERING:
            return
        more = self._last or bool(self._heads)
        self._ready, self._phase, self._heads = False, _Phase.LINGERING, None
        self.since = self._connections.time
        if not more or self._eof:
            self._transport.close()
            return
        try:
            if self._transport.can_write_eof():
                self._transport.write_eof()
        except OSError:  # the client has gone
            self._transport.abort()
        else:
            self._resume_reading()

    def eof_received(self) -> bool:
        """Answer what has come whole, though no more will come; then close."""
        self._eof = True
        unfinished = self._phase is _Phase.ANSWERING or self._scheduled or self._write_paused
        return bool(unfinished and self._transport) and not self._transport.get_extra_info("sslcontext")

    def pause_writing(self) -> None:
        """Read no more requests from a client that doesn't read their replies."""
        self._write_paused, self._ready = True, False
        self._transport.pause_reading()
        if self._bridge:
            self._bridge.pause_writing()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_paused = False
        if self._bridge:
            self._bridge.resume_writing()
        if self._phase is _Phase.READING and not self._scheduled:
            self._answer_buffered()
        elif self._phase is _Phase.LINGERING:
            self._resume_reading()

    def _resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def peer(self) -> str:
        """The client's address; empty where it has none, as on a unix socket."""
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def evictable(self) -> bool:
        """Whether it may be closed for another's sake: never with an answer in progress."""
        if not self._transport:
            return True
        return (
            self._phase is not _Phase.ANSWERING and not self._scheduled and not self._transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Close at once, whatever is in progress."""
        self.admitted = False
        if self._transport:
            self._transport.abort()

    def expire(self) -> None:
        """Close, if this has taken too long."""
        limits, waited = self._connections.limits, self._connections.time - self.since
        if not self._transport:
            if waited >= _LAST_CALL_SECONDS:  # it was accepted, and the event loop has lost it
                self._connections.forget(self)
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent or self._transport.is_closing():
            if unsent < self._unsent:
                self.since = self._connections.time
            elif waited >= limits.write_timeout:
                self._time_out("write")
                self._transport.abort()
            self._unsent = unsent
        elif self._phase is _Phase.LINGERING:
            if waited >= limits.body_timeout:
                self._time_out("body")
                self._transport.close()
        elif self._phase is _Phase.READING and not self._scheduled:
            self._expire_reading(waited)

    def _time_out(self, deadline: Deadline) -> None:
        """Count a connection that has taken too long, once."""
        if not self._timed_out:
            self._connections.traffic.timed_out[deadline] += 1
        self._timed_out = True

    def _expire_reading(self, waited: float) -> None:
        limits = self._connections.limits
        if self._heads:
            if waited >= limits.head_timeout:
                self._time_out("head")
                self._refuse(RequestTimeout(f"A request's head must be whole within {limits.head_timeout:g} s."))
        elif self._connections.finishing:
            if waited >= _LAST_CALL_SECONDS:
                self._end()
        elif waited >= (limits.head_timeout if self.unanswered else limits.idle_timeout):
            self._time_out("idle")
            self._end()


def http_connections(connections: Connections) -> "Callable[[], HttpConnection]":
    """Make the factory of a listener's connections."""

    def begin() -> HttpConnection:
        connection = HttpConnection(connections)
        connections.admit(connection)
        return connection

    return begin
