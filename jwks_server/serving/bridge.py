"""aiohttp's protocol for one connection, which tells what it answers; what is no HTTP is an error like any other."""

import asyncio
import typing
from collections.abc import Callable, Iterable

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod

from jwks_server.errors import BadRequest, MethodNotAllowed, Problem
from jwks_server.options.settings import Limits
from jwks_server.published.catalog import Edition
from jwks_server.serving.response import ALLOW, fault, problem

# Deadlines are kept for all connections at once; aiohttp sees only some of a connection's requests.
_NO_DEADLINE_SECONDS = 10 * 365 * 86400
_BAD_REQUEST = 400


class Answer(typing.NamedTuple):
    """An answer that has been written.

    Attributes:
        edition: What it was made from, if it was made from the catalog.
        status: Its status code.
        size: Its bytes.
        closes: Whether the connection ends with it.
    """

    edition: Edition | None
    status: int
    size: int
    closes: bool


class BridgeOwner(typing.Protocol):
    """Who hands requests over, one at a time."""

    def must_close(self) -> bool:
        """Tell whether the answer in progress is the connection's last."""

    @property
    def is_head_request(self) -> bool:
        """Whether the answer in progress must have no body."""

    def refused(self, problem: Problem) -> None:
        """Take note that the request is none."""

    def answered(self, answer: Answer) -> None:
        """Take note that an answer has been written."""


class RecordingTransport:
    """A transport that notes what aiohttp writes, while there is something to learn.

    Args:
        transport: The real one.
        close: Called where aiohttp would close it.
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self._written: list[bytes] | None = None
        self.close = close

    def begin(self) -> None:
        """Take notes from now on."""
        self._written = []

    def end(self) -> bytes:
        """Give what was noted."""
        written, self._written = self._written, None
        return b"".join(written or ())

    def write(self, data: bytes) -> None:
        """Write."""
        if self._written is not None:
            self._written.append(bytes(data))
        self._transport.write(data)

    def writelines(self, chunks: Iterable[bytes]) -> None:
        """Write."""
        self.write(b"".join(chunks))

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class Bridge(web.RequestHandler):
    """One connection.

    Args:
        server: Counts the connections.
        limits: What a client may do.
        owner: Hands the requests over.

    Attributes:
        edition: What the handler makes the answer in progress from; set by the handler.
    """

    __slots__ = ("_owner", "edition")

    def __init__(self, server: web.Server, limits: Limits, owner: BridgeOwner) -> None:
        # Whole heads come here, and bodies never do: the limits only have to be no narrower than the owner's.
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
        self.edition: Edition | None = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer, and tell."""
        if self._owner.must_close():
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        edition, self.edition = self.edition, None
        self._owner.answered(Answer(edition, resp.status, resp.body_length, not finished[0].keep_alive))
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refuses, and close; the application answers all else.

        The parser knows a list of methods. Another one, in a request that is otherwise one, is as little
        allowed as those on it.
        """
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the reply has been sent already")
        error: Problem
        if status != _BAD_REQUEST:
            error = fault(exc)
        elif isinstance(exc, BadHttpMethod):
            error = MethodNotAllowed(f"Only {ALLOW} are answered here.", ALLOW)
        else:
            error = BadRequest("What was sent is not an HTTP request.", "parser")
            self._owner.refused(error)
        reply = problem(error)
        if self._owner.is_head_request:
            reply.body = None
        reply.force_close()
        return reply
