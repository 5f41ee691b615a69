"""The other end of callers.py: starts the clients, directs them and reads what they lost."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support import HANG_SECONDS

_CALLERS = Path(__file__).with_name("callers.py")


@dataclass
class Called:
    """Clients that ask until the block ends.

    Attributes:
        process: Their process.
        answers: The whole answers, by kind of client; known after the block.
        lost: The requests without one, by kind and reason; known after the block.
    """

    process: asyncio.subprocess.Process
    answers: dict[str, int]
    lost: dict[str, int]

    async def use(self, *ports: int) -> None:
        """Replace the endpoints that new connections go to."""
        await self._say(f"ports {' '.join(map(str, ports))}")

    async def total(self) -> int:
        """Count the whole answers so far."""
        return int(await self._say("count"))

    async def more(self, answers: int, patience: float = HANG_SECONDS) -> None:
        """Wait for some more answers."""
        goal = await self.total() + answers
        async with asyncio.timeout(patience):
            while await self.total() < goal:
                await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Let each client finish its request, and read what became of all."""
        outcome = json.loads(await self._say("end"))
        self.answers, self.lost = outcome["answers"], outcome["lost"]
        await self.process.wait()

    async def _say(self, line: str) -> bytes:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(HANG_SECONDS):
            answer = await self.process.stdout.readline()
        assert answer, "the clients' process ended"
        return answer


@asynccontextmanager
async def called(*ports: int, clients: int = 16, through: Sequence[str] = ()) -> AsyncIterator[Called]:
    """Let clients ask at these ports until the block ends, started through another command if one is given."""
    process = await asyncio.create_subprocess_exec(
        *through,
        sys.executable,
        str(_CALLERS),
        *map(str, ports),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "CALLERS": str(clients)},
    )
    clients_of = Called(process, {}, {})
    try:
        await clients_of.more(1)
        yield clients_of
        await clients_of.end()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
