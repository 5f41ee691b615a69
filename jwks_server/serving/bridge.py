"""The bridge between a connection and aiohttp: aiohttp's protocol, which reports each answer that it has written."""

import asyncio
import typing
from collections.abc import Callable, Iterable

from aiohttp import web

from jwks_server.options.settings import Limits
from jwks_server.published.catalog import Edition
from jwks_server.published.freshness import Freshness
from jwks_server.serving.response import Response, fault, problem
from jwks_server.serving.wire import Wire

# Deadlines are kept for all connections at once; aiohttp sees only some of a connection's requests.
_NO_DEADLINE_SECONDS = 10 * 365 * 86400
_BAD_REQUEST = 400


class Answer(typing.NamedTuple):
    """An answer that has been written.

    Attributes:
        edition: The edition that it was made from; None if it was not made from the catalog.
        status: Its status code.
        size: The size of its body in bytes.
        closes: Whether the connection ends with it.
        fresh: What its Cache-Control is made from; None if it is the same at any time.
    """

    edition: Edition | None
    status: int
    size: int
    closes: bool
    fresh: Freshness | None = None


class BridgeOwner(typing.Protocol):
    """What the bridge needs from the connection, which passes it one request at a time."""

    def must_close(self) -> bool:
        """Return whether the answer in progress is the connection's last."""

    def refused(self) -> None:
        """Answer a request that the parser refused."""

    def answered(self, answer: Answer) -> None:
        """Take note that an answer has been written."""


class RecordingTransport:
    """A transport that can record what aiohttp writes.

    Args:
        transport: The connection's transport.
        close: Called where aiohttp would close the transport.
    """

    def __init__(self, transport: Wire, close: Callable[[], None]) -> None:
        self._transport = transport
        self._written: list[bytes] | None = None
        self._muted = False
        self.close = close

    def begin(self) -> None:
        """Begin a recording."""
        self._written = []

    def end(self) -> bytes:
        """End the recording, and return what was written since it began."""
        written, self._written = self._written, None
        return b"".join(written or ())

    def mute(self) -> None:
        """Send nothing from now on."""
        self._muted = True

    def write(self, data: bytes) -> None:
        """Write."""
        if self._muted:
            return
        if self._written is not None:
            self._written.append(bytes(data))
        self._transport.write(data)

    def writelines(self, chunks: Iterable[bytes]) -> None:
        """Write."""
        self.write(b"".join(chunks))

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class Bridge(web.RequestHandler):
    """aiohttp's protocol for one connection.

    Args:
        server: Counts the connections.
        limits: What a client may do.
        owner: The connection, which passes the requests on.
    """

    __slots__ = ("_owner",)

    def __init__(self, server: web.Server, limits: Limits, owner: BridgeOwner) -> None:
        # Only whole heads come here, and no bodies: the limits only have to be as wide as the connection's.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own runner passes it to switch the log off
            auto_decompress=False,
            keepalive_timeout=_NO_DEADLINE_SECONDS,
            lingering_time=0,
            max_line_size=limits.max_head,
            max_field_size=limits.max_head,
            max_headers=limits.max_fields + 1,
        )
        self._owner = owner

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer, and report it to the connection."""
        if self._owner.must_close():
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        edition, fresh = (resp.edition, resp.fresh) if isinstance(resp, Response) else (None, None)
        self._owner.answered(Answer(edition, resp.status, resp.body_length, not finished[0].keep_alive, fresh))
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a fault; the connection itself answers what the parser refuses.

        aiohttp's answer to the parser would say HTTP/1.0, and would not know the request's method.
        """
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the reply has been sent already")
        if status == _BAD_REQUEST:
            self._owner.refused()
        response = problem(fault(exc)) if status != _BAD_REQUEST else Response(status=status)
        response.force_close()
        return response
