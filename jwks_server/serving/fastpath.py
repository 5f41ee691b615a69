"""A protocol in front of aiohttp's: a request that was answered before gets the same bytes again.

It knows next to nothing of HTTP. It learns pairs of request and reply bytes from aiohttp and the application at
work, so what they mean is written in one place. What keeps it true:

1. A pair is learned only from a request that came at a message boundary as one head without a body, and that the
   application answered from the catalog's current edition.
2. The memory is asked only at a message boundary, while aiohttp has nothing left to answer: a reply never overtakes
   another. Heads are counted as they go in, answers as they come out. Where the count can't be trusted (a body, a
   line end that isn't CRLF, a reply that closes) the connection stays with aiohttp for good.
3. The memory belongs to one edition of the catalog: asked after a publication, it knows nothing from before it.
4. Fields that no handler reads don't count, in a request of plain printable lines; every other byte does.
5. Of a reply only the value of Date is written anew, each second.
"""

import asyncio
from collections.abc import Iterable
from typing import cast

from aiohttp import web

from jwks_server.serving.memory import Memory, now
from jwks_server.serving.protocol import Answered, Protocol

_HEAD_END = b"\r\n\r\n"
_MAX_HEAD_BYTES = 16 * 1024
# Longer than a proxy before us keeps its connections idle (60 s is common), so that it is the one to close them.
_IDLE_SECONDS = 75


class Front:
    """Makes the protocol of each connection, and keeps the list of them.

    Args:
        server: Makes aiohttp's protocols, and waits for them at shutdown.
        memory: What was answered before; None to leave everything to aiohttp.
    """

    def __init__(self, server: web.Server, memory: Memory | None) -> None:
        self.server = server
        self.memory = memory
        self.connections: set[FastPath] = set()

    def __call__(self) -> "FastPath | Protocol":
        """Make a connection's protocol."""
        return FastPath(self, self.memory) if self.memory else Protocol(self.server)

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for connection in list(self.connections):
            connection.close_if_idle()

    async def close_silent(self) -> None:
        """Close, for ever, the connections on which nothing came for one to two deadlines."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS)
            for connection in list(self.connections):
                connection.close_if_silent()


class FastPath(asyncio.Protocol):
    """One connection."""

    # Defaults of the class: a connection that is answered from memory needs none of these.
    _slow: Protocol | None = None
    _tap: "_Tap | None" = None
    _open = 0  # heads that went to aiohttp and were not answered yet; below zero: never to be trusted again
    _tail = b""  # the bytes after the last whole head
    _learning = b""  # the request that is being answered, if its reply may be learned
    _choked = False  # the client doesn't read
    _silent = False  # since the last round of ``Front.close_silent``

    def __init__(self, front: Front, memory: Memory) -> None:
        self._front = front
        self._memory = memory

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: asyncio.Transport = cast("asyncio.Transport", transport)
        self._front.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._front.connections.discard(self)
        if self._slow:
            self._slow.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer from memory, or let aiohttp answer."""
        self._silent = False
        if not self._open and not self._tail:
            reply = self._memory.recall(data)
            if reply is not None:
                self._transport.write(reply.at(now()))
                if reply.closes:
                    self._transport.close()
                return
            self._learning = data
        else:
            self._learning = b""
        self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        if self._open >= 0:
            self._count(data)
        if self._slow is None:
            self._tap = _Tap(self._transport)
            self._slow = Protocol(self._front.server, self._answered)
            self._slow.connection_made(cast("asyncio.Transport", self._tap))
            if self._choked:
                self._slow.pause_writing()
        if self._tap and self._learning:
            self._tap.begin()
        self._slow.data_received(data)

    def _count(self, data: bytes) -> None:
        """Count the heads that end in these bytes."""
        begun = bool(self._tail)
        data = self._tail + data
        if data.count(b"\n") != data.count(b"\r\n"):
            self._distrust()
            return
        *heads, self._tail = data.split(_HEAD_END)
        self._open += len(heads)
        if begun or len(heads) != 1 or self._tail:
            self._learning = b""
        if len(self._tail) > _MAX_HEAD_BYTES:
            self._distrust()

    def _answered(self, answer: Answered) -> None:
        """Take note that aiohttp has written an answer, and learn it if it may be learned."""
        written = self._tap.end() if self._tap else b""
        if self._open < 0:
            return
        self._open -= 1
        if self._learning and not answer.had_body:
            self._memory.learn(self._learning, written, answer.edition, closes=answer.closes)
        self._learning = b""
        if answer.had_body or answer.closes or self._open < 0:
            self._distrust()

    def _distrust(self) -> None:
        self._open, self._tail, self._learning = -1, b"", b""

    def eof_received(self) -> None:
        """Close, as aiohttp does, once what is written has gone out."""
        if self._slow:
            self._slow.eof_received()

    def pause_writing(self) -> None:
        """Read no more requests from a client that doesn't read their replies."""
        self._choked = True
        self._transport.pause_reading()
        if self._slow:
            self._slow.pause_writing()

    def resume_writing(self) -> None:
        """Go on, unless aiohttp has requests enough."""
        self._choked = False
        if self._slow:
            self._slow.resume_writing()
        if not (self._tap and self._tap.paused):
            self._transport.resume_reading()

    def close_if_idle(self) -> None:
        """Close unless a request is being answered, or has come in part."""
        if not self._open and not self._tail:
            self._transport.close()

    def close_if_silent(self) -> None:
        """Close if nothing came since this was last asked."""
        if self._silent:
            self._transport.close()
        self._silent = True


class _Tap:
    """A transport that notes what aiohttp writes, while there is something to learn, and whether it wants to read."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written: list[bytes] | None = None
        self.paused = False

    def begin(self) -> None:
        self._written = []

    def end(self) -> bytes:
        written, self._written = self._written, None
        return b"".join(written or ())

    def write(self, data: bytes) -> None:
        if self._written is not None:
            self._written.append(bytes(data))
        self._transport.write(data)

    def writelines(self, chunks: Iterable[bytes]) -> None:
        self.write(b"".join(chunks))

    def pause_reading(self) -> None:
        self.paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self.paused = False
        self._transport.resume_reading()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
