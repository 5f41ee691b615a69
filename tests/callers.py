"""Clients in a process of their own that count each request without a whole answer: ``python callers.py PORT ...``.

Half of them keep their connections, and half ask on a new one each time. The ports are the endpoints as a load balancer
has them: each new connection goes to the next. The process reads lines from standard input: ``ports PORT ...`` replaces
the endpoints, and ``end`` (or the end of the input) lets each client finish its request. Each answer to a line is the
number of answers so far; the last is a JSON object. The environment's CALLERS is the number of clients.
"""

import asyncio
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

_GET = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n"
KEPT = f"{_GET}\r\n".encode()
LAST = f"{_GET}Connection: close\r\n\r\n".encode()
_FAILURES = (OSError, asyncio.IncompleteReadError, ValueError)
_LIMIT = 1 << 22


class Callers:
    """The clients, and what became of their requests.

    Attributes:
        answers: The whole answers, by kind of client.
        lost: The requests without one, by kind and reason.
    """

    def __init__(self, ports: list[int]) -> None:
        self.answers: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.ending = False
        self._turns: Iterator[int]
        self.use(ports)

    def use(self, ports: list[int]) -> None:
        """Replace the endpoints."""
        self._turns = itertools.cycle(ports)

    async def kept(self) -> None:
        """Ask on one connection until an answer says that it is the last."""
        while not self.ending:
            async with _Connection(self, "kept") as connection:
                while await connection.ask(KEPT) and not self.ending:
                    pass

    async def fresh(self) -> None:
        """Ask on a new connection each time."""
        while not self.ending:
            async with _Connection(self, "fresh") as connection:
                await connection.ask(LAST)

    def next_port(self) -> int:
        """Return the endpoint whose turn it is."""
        return next(self._turns)


class _Connection:
    """A connection that is opened for the first request, and is closed in any case."""

    def __init__(self, callers: Callers, kind: str) -> None:
        self._callers = callers
        self._kind = kind
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._streams:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()

    async def ask(self, request: bytes) -> bool:
        """Ask, and count the outcome; tell whether the connection goes on."""
        step = "connecting"
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._callers.next_port(), limit=_LIMIT)
            reader, writer = self._streams
            step = "waiting"
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            step = "reading"
            if not head.startswith(b"HTTP/1.1 200 "):
                raise ValueError(head.partition(b"\r\n")[0].decode())
            body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]))
            if not (body.startswith(b'{"keys":[{') and body.endswith(b"}]}")):
                raise ValueError("another body")
        except _FAILURES as exc:
            self._callers.lost[f"{self._kind}: {step}: {type(exc).__name__} {exc}"[:100]] += 1
            return False
        self._callers.answers[self._kind] += 1
        return b"\r\nConnection: close\r\n" not in head


async def main(ports: list[int], number: int) -> None:
    """Run the clients until the input says to end."""
    callers = Callers(ports)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        for one in range(number):
            tasks.create_task(callers.fresh() if one % 2 else callers.kept())
        while (line := (await reader.readline()).decode().split()) and line[0] != "end":
            if line[0] == "ports":
                callers.use([int(port) for port in line[1:]])
            _tell(callers.answers.total())
        callers.ending = True
    _tell(json.dumps({"answers": dict(callers.answers), "lost": dict(callers.lost)}))


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main([int(port) for port in sys.argv[1:]], int(os.environ.get("CALLERS", "16"))))
