"""An HTTP connection: it answers from the response cache, or passes the request to aiohttp through the bridge.

This module moves bytes. What a connection is in the middle of is in ``exchange``, its deadlines are in ``deadlines``,
where a head ends and what aiohttp is lax about are in ``head_buffer`` and ``request_head``. aiohttp and the application
decide what a request means; the response cache learns pairs of request and reply bytes from them. These rules keep that
correct:

1. aiohttp gets whole heads, one at a time, each after the answer to the one before has been written. So no reply
   overtakes another, and whatever aiohttp writes in between is the reply to that head.
2. A request that may be followed by anything but a request (a body, another protocol) is the connection's last. Its
   body is read for a while, so that the client gets the reply, and discarded.
3. The cache learns a pair only if the application answered from the catalog's current edition, and it belongs to that
   edition: after a publication it holds nothing from before.
4. In a request of plain printable lines, only the fields that a handler, aiohttp or the connection reads count, with
   every byte outside of fields. aiohttp does not get the other fields either, so they can't change its answer.
5. Only the values of Date and Cache-Control in a cached reply change, each second.
"""

import asyncio
from time import perf_counter, time
from typing import cast

from jwks_server.errors import BadRequest, MethodNotAllowed, Problem
from jwks_server.published.problem import ALLOW, METHODS
from jwks_server.serving import request_head
from jwks_server.serving.bridge import Answer, Bridge, RecordingTransport
from jwks_server.serving.connections import Connections
from jwks_server.serving.exchange import ENDING, Event, State
from jwks_server.serving.head_buffer import HeadBuffer
from jwks_server.serving.open_connection import SMALL_BYTES, OpenConnection
from jwks_server.serving.request_fields import relevant
from jwks_server.serving.response_cache import now

# The most requests of one connection that are answered before other connections get their turn.
_BURST = 16
# Looking a member up in its class takes longer than looking up a name.
_IDLE = State.IDLE
_ENDED = Event.ENDED
WITH_AIOHTTP = frozenset({State.ANSWERING, State.STALLED})
_WITH_HEADS = frozenset({State.READING, State.BLANK})
_BETWEEN_REQUESTS = frozenset({State.IDLE, State.BLANK, State.LAST_CALL})


class HttpConnection(OpenConnection):
    """One connection, with its requests.

    Args:
        connections: The listener's connections, and what they share.
    """

    __slots__ = ("_bridge", "_head", "_passed_on", "_recorder")

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._bridge: Bridge | None = None
        self._recorder: RecordingTransport | None = None
        self._head = b""  # the head that aiohttp has
        self._passed_on = 0.0  # when it got that

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        super().connection_lost(exc)
        if self._bridge is not None:
            self._bridge.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer from the response cache, or let aiohttp answer."""
        if self.state is _IDLE:
            connections = self._connections
            reply = connections.find_response(data)
            if reply is not None:
                reply.hits += 1
                self._wire.write(reply.at(int(time())))  # as now() says, without its call
                self.since = connections.time
                if reply.closes:
                    if reply.answer.size > SMALL_BYTES:
                        self._finish(reply.answer.size)
                    else:
                        self._on(_ENDED)
                        self._wire.close()
                elif self.unanswered:
                    connections.note_response(self)
                if connections.log_access:
                    answer = reply.answer
                    connections.log_access(self.peer, data, answer.status, answer.size, "cache", self.began)
                return
            if request_head.is_whole(data) and len(data) <= connections.limits.max_head:
                self._forward(data)
                return
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Keep data that can't be answered at once."""
        max_head = self._connections.limits.max_head
        if self.state in ENDING:
            self._discard(data)
            return
        if self._buffer is None:
            self._buffer = HeadBuffer(max_head)
        self._buffer.feed(data)
        if self.state in _BETWEEN_REQUESTS:
            if self._buffer.begun:
                self._on(Event.HEAD_BEGUN)
                self.since = self._connections.time
            elif self.state is not State.BLANK:
                self._on(Event.BLANK_BEGUN)
            self._answer_buffered()
        elif self.state is State.READING:
            self._answer_buffered()
        elif len(self._buffer) > max_head:
            self._wire.pause_reading()

    def _answer_buffered(self) -> None:
        """Answer the whole heads in the buffer."""
        for _ in range(_BURST):
            if self.state not in _WITH_HEADS or self._wire.is_closing():
                return
            try:
                request = self._buffer.cut() if self._buffer else None
            except Problem as problem:
                self._refuse(problem, self._buffer.beginning if self._buffer else b"")
                return
            if request is None:
                self._await_more()
                return
            reply = self._connections.find_response(request)
            if reply is None:
                self._forward(request)
                return
            reply.hits += 1
            self._wire.write(reply.at(now()))
            self._replied(request, reply.answer.status, reply.answer.size, "cache", closes=reply.closes)
        if self.state is State.READING:
            self._wire.pause_reading()
            self._queue()

    def _queue(self) -> None:
        self._on(Event.TURN_OVER)
        asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        if self.state is State.QUEUED:
            self._on(Event.TURN)
            self._answer_buffered()

    def _await_more(self) -> None:
        if self._eof:
            self._close()
            return
        if not self._buffer:
            self._buffer = None
            self._on(Event.EMPTIED)
        elif self.state is State.READING and not self._buffer.begun:
            self._on(Event.BLANK_BEGUN)
        self._resume_reading()

    def _forward(self, request: bytes) -> None:
        """Pass a request to aiohttp."""
        try:
            self._last = request_head.ends_connection(request, self._connections.limits.max_fields)
        except Problem as problem:
            self._refuse(problem, request)
            return
        self._on(Event.PASSED_ON)
        self._head = request
        self._passed_on = perf_counter()
        if self._bridge is None:
            self._recorder = RecordingTransport(self._wire, self._finish)
            self._bridge = Bridge(self._connections.server, self._connections.limits, self)
            self._bridge.connection_made(cast("asyncio.Transport", self._recorder))
        if self._recorder and self._connections.learns and not self._last:
            self._recorder.begin()
        self._bridge.data_received(relevant(request))

    def must_close(self) -> bool:
        """Return whether the answer in progress is the connection's last."""
        return self._last or self._connections.draining

    def refused(self) -> None:
        """Answer a request that aiohttp's parser refused; what it writes about that is not sent.

        The parser knows a list of methods. Any other one gets the same 405 as a known one that is not allowed.
        """
        if self._recorder:
            self._recorder.mute()
        if self._head.partition(b" ")[0].decode("ascii") in METHODS:
            self._refuse(BadRequest("The data is not an HTTP request.", "parser"), self._head)
        else:
            self._refuse(MethodNotAllowed(f"Only {ALLOW} are answered here.", ALLOW), self._head, self._head)

    def answered(self, answer: Answer) -> None:
        """Take note that aiohttp has written an answer, and let the cache learn it if the connection goes on."""
        written = self._recorder.end() if self._recorder else b""
        if self.state not in WITH_AIOHTTP:
            return
        if not self._last:
            self._connections.learn(self._head, written, answer)
        traffic = self._connections.traffic
        traffic.answers[answer.status, "application"] += 1
        traffic.durations.add(perf_counter() - self._passed_on)
        self._on(Event.ANSWERED)
        self._replied(self._head, answer.status, answer.size, "application", closes=answer.closes)
        if self.state is State.READING:
            if self._buffer or self._eof:
                self._queue()
            else:
                self._await_more()

    def pause_writing(self) -> None:
        """Stop reading requests from a client that does not read the replies."""
        self._on(Event.WRITE_PAUSED)
        self._wire.pause_reading()
        if self._bridge:
            self._bridge.pause_writing()

    def resume_writing(self) -> None:
        """Read requests again."""
        self._on(Event.WRITE_RESUMED)
        if self._bridge:
            self._bridge.resume_writing()
        if self.state is State.READING:
            self._answer_buffered()
        elif self.state is State.LINGERING:
            self._resume_reading()
