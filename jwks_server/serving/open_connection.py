"""How a connection begins and ends: the wire, the last reply, the deadlines, the client's half-close."""

import asyncio
from typing import cast

from jwks_server.errors import BadRequest, MethodNotAllowed, Problem, RequestTimeout
from jwks_server.serving import deadlines
from jwks_server.serving.connections import Connections
from jwks_server.serving.exchange import ENDING, UNANSWERED, Event, State, follow
from jwks_server.serving.head_buffer import HeadBuffer
from jwks_server.serving.request_head import is_head_request
from jwks_server.serving.response import refusal
from jwks_server.serving.wire import Wire, unacknowledged
from jwks_server.stats import Deadline, ServedBy

# A reply of this size is in the client's kernel when the connection is closed; a larger one could be cut by a reset.
SMALL_BYTES = 14_000
_NOT_CONNECTED = asyncio.Transport()
# Looking a member up in its class takes longer than looking up a name.
_IDLE = State.IDLE
_ENDED, _LOST = Event.ENDED, Event.LOST
_OVER = frozenset({State.CLOSING, State.CLOSED})


class OpenConnection(asyncio.Protocol):
    """One connection, without the requests.

    Args:
        connections: The listener's connections, and what they share.

    Attributes:
        state: What it is in the middle of.
        since: When it last made progress, by the connections' clock: it opened, a head began, a reply was written.
        began: When the last of a request arrived, by ``time.perf_counter``; only kept for the access log.
        unanswered: Whether it has not been given a reply yet.
        admitted: Whether it may stay open.
    """

    # Slots are read quicker than defaults in the class, and take less memory.
    __slots__ = (
        "_buffer",
        "_connections",
        "_discarded",
        "_eof",
        "_last",
        "_timed_out",
        "_unsent",
        "_wire",
        "admitted",
        "began",
        "since",
        "state",
        "unanswered",
    )

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.state = _IDLE
        self.since = connections.time
        self.began = 0.0
        self.unanswered = True
        self.admitted = True
        self._wire: Wire = _NOT_CONNECTED
        self._buffer: HeadBuffer | None = None  # what has arrived and is not answered yet
        self._last = False  # whether more than requests may follow
        self._eof = False  # the client has closed its sending side
        self._discarded = 0
        self._timed_out = False
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the connection was not admitted."""
        self._wire = cast("asyncio.Transport", transport)
        if not self.admitted:
            self._wire.abort()

    def secured(self) -> None:
        """Take note that TLS is established."""
        self._on(Event.SECURED)
        self.since = self._connections.time

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        del exc
        self._on(_LOST)
        self.admitted = False
        self._buffer = None
        self._connections.forget(self)

    def _on(self, event: Event) -> None:
        self.state = follow(self.state, event)

    def _replied(self, request: bytes, status: int, size: int, served_by: ServedBy, *, closes: bool) -> None:
        self.since = self._connections.time
        if self.unanswered:
            self._connections.note_response(self)
        if self._connections.log_access:
            self._connections.log_access(self.peer, request, status, size, served_by, self.began)
        if closes:
            self._finish(size)

    def refuse_unencrypted(self, beginning: bytes) -> None:
        """Answer data that is not TLS at a port for TLS."""
        self._refuse(BadRequest("This port speaks TLS only; use an https:// URL.", "not-tls"), beginning)

    def _refuse(self, problem: Problem, beginning: bytes, request: bytes = b"") -> None:
        """Answer data that is not a request, or not yet a whole one, and end the connection."""
        self._last = True
        if not isinstance(problem, MethodNotAllowed):
            self._connections.note_refusal(self.peer, problem)
        reply = refusal(problem, to_head=is_head_request(beginning), private=self._connections.private)
        self._wire.write(reply)
        self._connections.traffic.answers[problem.status, "application"] += 1
        self._replied(request, problem.status, len(reply), "application", closes=True)

    def _finish(self, size: int = 0) -> None:
        """Close once everything has been sent; where more may arrive, keep reading, so that nothing is reset.

        Args:
            size: The size of the last reply.
        """
        if self.state in ENDING:
            return
        large = max(size, self._wire.get_write_buffer_size()) > SMALL_BYTES
        more = large or self._last or bool(self._buffer)
        self._buffer = None
        self.since = self._connections.time
        if not more or self._eof:
            self._close()
            return
        self._on(Event.FINISHED)
        try:
            self._wire.write_eof()
        except OSError:  # the client has closed the connection
            self._wire.abort()
        else:
            self._resume_reading()

    def _close(self) -> None:
        self.ended()
        self._wire.close()

    def ended(self) -> None:
        """Take note that there is nothing more to write or to read."""
        if self.state not in _OVER:
            self._on(_ENDED)

    def eof_received(self) -> bool:
        """Answer the whole requests that have arrived; then close."""
        self._eof = True
        if self.state in UNANSWERED:
            return True
        self.ended()
        return False

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > self._connections.limits.max_body:
            self._close()

    def _resume_reading(self) -> None:
        if not self._wire.is_closing():
            self._wire.resume_reading()

    @property
    def peer(self) -> str:
        """The client's address; empty if it has none, as on a unix socket."""
        peer = self._wire.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    @property
    def evictable(self) -> bool:
        """Whether it may be closed to make room: not while an answer is in progress."""
        if self._wire is _NOT_CONNECTED:
            return True
        return self.state not in UNANSWERED and not self._wire.get_write_buffer_size()

    def close(self) -> None:
        """Close at once, whatever is in progress."""
        self.admitted = False
        if self._wire is not _NOT_CONNECTED:
            self._wire.abort()

    def expire(self) -> None:
        """Close, if a deadline has passed."""
        connections = self._connections
        if self._wire is _NOT_CONNECTED:
            if connections.time - self.since >= deadlines.LAST_CALL_SECONDS:  # connection_made was never called
                connections.forget(self)
            return
        if connections.finishing and self.state is State.IDLE:
            self._on(Event.STOPPED)
            self.since = connections.time  # the client has a whole last call, however long it was idle
        self._note_progress()
        waited = connections.time - self.since
        limits = connections.limits
        missed = deadlines.missed(self.state, waited, limits, unanswered=self.unanswered, unsent=self._unsent)
        match missed:
            case None:
                return
            case "last-call":
                self._finish()
                return
        self._count(missed)
        match missed:
            case "head":
                error = RequestTimeout(f"A request's head must arrive within {limits.head_timeout:g} s.")
                self._refuse(error, self._buffer.beginning if self._buffer else b"")
            case "idle":
                self._finish()
            case "body":
                self._close()
            case _:
                self._wire.abort()

    def _note_progress(self) -> None:
        """Take note of what the client has received since the last time."""
        unsent = self._wire.get_write_buffer_size()
        if unsent or self.state in ENDING:
            unsent += unacknowledged(self._wire)
        if unsent < self._unsent or (unsent and not self._unsent):  # an event stream may have been quiet for hours
            self.since = self._connections.time
        self._unsent = unsent

    def _count(self, missed: Deadline) -> None:
        """Count a connection that missed a deadline, once."""
        if not self._timed_out:
            self._connections.traffic.timed_out[missed] += 1
        self._timed_out = True
