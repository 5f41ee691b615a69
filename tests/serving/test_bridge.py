"""aiohttp's protocol as a connection uses it."""

import asyncio

from aiohttp import web
from support import HANG_SECONDS

from jwks_server.options.settings import Limits
from jwks_server.published.catalog import Catalog
from jwks_server.serving.bridge import Answer, Bridge, RecordingTransport
from jwks_server.serving.public import application

PATH = "/.well-known/jwks.json"


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.data += bytes(data)

    def is_closing(self) -> bool:
        """Stay open."""
        return False


class Owner:
    """A connection that passes one request to its bridge, and waits for the answer."""

    def __init__(self, *, last: bool = False) -> None:
        self.transport = Written()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.refusals = 0
        self._last = last

    def must_close(self) -> bool:
        """Tell whether the answer is the last."""
        return self._last

    def refused(self) -> None:
        """Count the refusal."""
        self.refusals += 1

    def answered(self, answer: Answer) -> None:
        """Keep the answer."""
        self.answer.set_result(answer)

    def close(self) -> None:
        """Do nothing: the test closes."""

    async def ask(self, catalog: Catalog, request: bytes) -> tuple[Answer, bytes]:
        """Pass a request on; give the answer, and what was recorded of it."""
        runner = web.AppRunner(application(catalog, PATH))
        await runner.setup()
        assert runner.server is not None
        bridge = Bridge(runner.server, Limits(max_connections=1), self)
        recorder = RecordingTransport(self.transport, self.close)
        bridge.connection_made(recorder)  # type: ignore[arg-type]  # it has what aiohttp uses of a transport
        recorder.begin()
        bridge.data_received(request)
        async with asyncio.timeout(HANG_SECONDS):
            answer = await self.answer
        recorded = recorder.end()
        bridge.connection_lost(None)
        await runner.cleanup()
        return answer, recorded


async def test_answer_carries_its_edition(catalog: Catalog) -> None:
    """An answer from the catalog names its edition and size, and everything written is recorded."""
    owner = Owner()
    answer, recorded = await owner.ask(catalog, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % PATH.encode())
    body = catalog.current.pages[PATH].variants[0].body
    assert answer.edition is catalog.current
    assert (answer.status, answer.closes) == (200, False)
    assert recorded == owner.transport.data
    assert recorded.endswith(body)


async def test_error_has_no_edition(catalog: Catalog) -> None:
    """An answer that was not made from the catalog has no edition, so it can't be learned."""
    answer, recorded = await Owner().ask(catalog, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (answer.edition, answer.status) == (None, 404)
    assert recorded.startswith(b"HTTP/1.1 404 ")


async def test_last_answer_closes(catalog: Catalog) -> None:
    """The owner decides that an answer is the last, and the client is told."""
    answer, recorded = await Owner(last=True).ask(catalog, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % PATH.encode())
    assert answer.closes
    assert b"\r\nConnection: close\r\n" in recorded


async def test_what_the_parser_refuses(catalog: Catalog) -> None:
    """A request that the parser refuses, a method that it does not know too, is left to the owner."""
    for request in (
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        owner = Owner()
        answer, _ = await owner.ask(catalog, request)
        assert (answer.closes, answer.edition) == (True, None)
        assert owner.refusals == 1


def test_muted() -> None:
    """A muted recorder sends nothing."""
    transport = Written()
    recorder = RecordingTransport(transport, lambda: None)
    recorder.mute()
    recorder.write(b"a")
    assert transport.data == b""


def test_recording() -> None:
    """Only what is written between begin and end is recorded; everything is passed on."""
    transport = Written()
    recorder = RecordingTransport(transport, lambda: None)
    recorder.write(b"a")
    recorder.begin()
    recorder.write(b"b")
    recorder.writelines([b"c", b"d"])
    assert recorder.end() == b"bcd"
    recorder.write(b"e")
    assert recorder.end() == b""
    assert transport.data == b"abcde"
