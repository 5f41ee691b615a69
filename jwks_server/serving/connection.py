"""An HTTP connection: it answers from the response cache, or passes the request to aiohttp through the bridge.

The connection finds where a request's head ends, refuses what aiohttp is lax about (``request_head``), and keeps the
order and the deadlines. aiohttp and the application decide what a request means; the response cache learns pairs of
request and reply bytes from them. These rules keep that correct:

1. aiohttp gets whole heads, one at a time, each after the answer to the one before has been written. So no reply
   overtakes another, and whatever aiohttp writes in between is the reply to that head.
2. A request that may be followed by anything but a request (a body, another protocol) is the connection's last. Its
   body is read for a while, so that the client gets the reply, and discarded.
3. The cache learns a pair only if the application answered from the catalog's current edition, and it belongs to that
   edition: after a publication it holds nothing from before.
4. In a request of plain printable lines, fields that no handler reads are ignored; every other byte counts.
5. Only the value of Date in a cached reply changes, each second.
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

# The most requests of one connection that are answered before other connections get their turn.
_BURST = 16
# When the server stops, an open connection is kept so long: its next answer tells the client that it closes.
_LAST_CALL_SECONDS = 1.0
_NOT_CONNECTED = asyncio.Transport()


class _Phase(Enum):
    READING = auto()  # between two requests, or within a head
    ANSWERING = auto()  # aiohttp has a head and has not answered it yet
    LINGERING = auto()  # the last reply has been written; what still arrives is read and discarded


class HttpConnection(asyncio.Protocol):
    """One connection.

    Args:
        connections: The listener's connections, and what they share.

    Attributes:
        since: When it last made progress, by the connections' clock: it opened, a head began, a reply was written.
        unanswered: Whether it has not been given a reply yet.
        admitted: Whether it may stay open.
    """

    # Class attributes as defaults: a connection that is answered from the cache sets few of them.
    unanswered = True
    admitted = True
    _ready = False  # between two requests, and nothing is buffered
    _phase = _Phase.READING
    _bridge: Bridge | None = None
    _recorder: RecordingTransport | None = None
    _heads: request_head.RequestHeads | None = None  # what has arrived and is not answered yet
    _head = b""  # the head that aiohttp has
    _last = False  # whether that request is the connection's last
    _write_paused = False  # the client does not read its replies
    _eof = False  # the client has closed its sending side
    _scheduled = False  # whether the next burst of requests is scheduled
    _discarded = 0
    _timed_out = False
    _unsent = 0
    # Over TLS the first bytes can arrive before connection_made is called.
    _transport = _NOT_CONNECTED

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.since = connections.time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the connection was not admitted."""
        self._transport = cast("asyncio.Transport", transport)
        if not self.admitted:
            self._transport.abort()
        elif self._heads:
            self._answer_buffered()
        else:
            self._ready = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self._ready = self.admitted = False
        self._phase = _Phase.LINGERING
        self._connections.forget(self)
        if self._bridge:
            self._bridge.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer from the response cache, or let aiohttp answer."""
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
        """Keep data that can't be answered at once."""
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
        if self._transport is _NOT_CONNECTED:
            return
        if self._phase is _Phase.READING and not self._scheduled:
            self._answer_buffered()
        elif len(self._heads) > self._connections.limits.max_head:
            self._transport.pause_reading()

    def _answer_buffered(self) -> None:
        """Answer the whole heads in the buffer."""
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
        """Pass a request to aiohttp."""
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
        """Take note that aiohttp's parser refused the request."""
        self._last = True
        self._connections.note_refusal(self.peer, problem)

    def answered(self, answer: Answer) -> None:
        """Take note that aiohttp has written an answer, and let the cache learn it if the connection goes on."""
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
        """Answer data that is not a request, or not yet a whole one, and end the connection."""
        self._last = True
        self._connections.note_refusal(self.peer, problem)
        reply = refusal(problem, to_head=request_head.is_head_request(request), private=self._connections.private)
        self._transport.write(reply)
        self._connections.traffic.answers[problem.status, "application"] += 1
        self._replied(b"", problem.status, len(reply), "application", closes=True)

    def _end(self) -> None:
        """Close once everything has been sent; where more may arrive, keep reading, so that nothing is reset."""
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
        except OSError:  # the client has closed the connection
            self._transport.abort()
        else:
            self._resume_reading()

    def eof_received(self) -> bool:
        """Answer the whole requests that have arrived; then close."""
        self._eof = True
        unfinished = self._phase is _Phase.ANSWERING or self._scheduled or self._write_paused
        return unfinished and not self._transport.get_extra_info("sslcontext")

    def pause_writing(self) -> None:
        """Stop reading requests from a client that does not read the replies."""
        self._write_paused, self._ready = True, False
        self._transport.pause_reading()
        if self._bridge:
            self._bridge.pause_writing()

    def resume_writing(self) -> None:
        """Read requests again."""
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
        """The client's address; empty if it has none, as on a unix socket."""
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def evictable(self) -> bool:
        """Whether it may be closed to make room: not while an answer is in progress."""
        if self._transport is _NOT_CONNECTED:
            return True
        return (
            self._phase is not _Phase.ANSWERING and not self._scheduled and not self._transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Close at once, whatever is in progress."""
        self.admitted = False
        if self._transport is not _NOT_CONNECTED:
            self._transport.abort()

    def expire(self) -> None:
        """Close, if a deadline has passed."""
        limits, waited = self._connections.limits, self._connections.time - self.since
        if self._transport is _NOT_CONNECTED:
            if waited >= _LAST_CALL_SECONDS:  # it was accepted, but connection_made was never called
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
        """Count a connection that missed a deadline, once."""
        if not self._timed_out:
            self._connections.traffic.timed_out[deadline] += 1
        self._timed_out = True

    def _expire_reading(self, waited: float) -> None:
        limits = self._connections.limits
        if self._heads:
            if waited >= limits.head_timeout:
                self._time_out("head")
                self._refuse(RequestTimeout(f"A request's head must arrive within {limits.head_timeout:g} s."))
        elif self._connections.finishing:
            if waited >= _LAST_CALL_SECONDS:
                self._end()
        elif waited >= (limits.head_timeout if self.unanswered else limits.idle_timeout):
            self._time_out("idle")
            self._end()


def http_connections(connections: Connections) -> "Callable[[], HttpConnection]":
    """Return the protocol factory for a listener without TLS."""

    def begin() -> HttpConnection:
        connection = HttpConnection(connections)
        connections.admit(connection)
        return connection

    return begin
