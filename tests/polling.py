"""Clients that poll a server and judge every answer."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from support import HANG_SECONDS, Running

_PUBLIC_MEMBERS = {"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "pub", "x5c", "x5t#S256"}

Kids = frozenset[str]


class Judge:
    """What all pollers saw. An answer that is wrong in itself fails at once; a set that may not be, at the end.

    Attributes:
        seen: The distinct sets of kids, in the order in which they were first seen.
    """

    def __init__(self, pollers: int, patience: float) -> None:
        self._patience = patience
        self.seen: dict[Kids, int] = {}
        self._last: list[Kids | None] = [None] * pollers
        self._counts = [0] * pollers
        self._news = asyncio.Condition()

    async def take(self, poller: int, head: bytes, body: bytes) -> None:
        """Judge one answer: complete, public, not empty, with the ETag of its bytes."""
        assert head.startswith(b"HTTP/1.1 200 "), head
        etag = re.search(rb'ETag: "([^"]+)"', head)
        assert etag is not None
        assert etag[1] == base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=")
        keys = json.loads(body)["keys"]
        assert keys
        assert all(one.keys() <= _PUBLIC_MEMBERS for one in keys)
        kids = frozenset(one["kid"] for one in keys)
        assert len(kids) == len(keys)
        async with self._news:
            self.seen[kids] = self.seen.get(kids, 0) + 1
            self._last[poller] = kids
            self._counts[poller] += 1
            self._news.notify_all()

    async def until(self, kids: Iterable[str]) -> None:
        """Wait until every poller's last answer is this set."""
        wanted = frozenset(kids)
        await self._wait(lambda: all(last == wanted for last in self._last))

    async def more(self, answers: int = 20) -> None:
        """Wait until every poller has had some more answers."""
        goal = [count + answers for count in self._counts]
        await self._wait(lambda: all(count >= enough for count, enough in zip(self._counts, goal, strict=True)))

    async def _wait(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(self._patience), self._news:
            await self._news.wait_for(condition)


@asynccontextmanager
async def polling(
    server: Running, pollers: int = 2, issuer: str = "", *, patience: float = HANG_SECONDS
) -> AsyncIterator[Judge]:
    """Poll an issuer's set from several kept connections, until the block ends or an answer is wrong."""
    judge = Judge(pollers, patience)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_poll(server, number, judge, issuer)) for number in range(pollers)]
        await judge.more(1)
        yield judge
        for task in running:
            task.cancel()


async def _poll(server: Running, number: int, judge: Judge, issuer: str) -> None:
    request = f"GET {issuer}/.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**26, ssl=server.tls)
    try:
        while True:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            await judge.take(number, head, await reader.readexactly(int(length[1])))
    finally:
        writer.close()
