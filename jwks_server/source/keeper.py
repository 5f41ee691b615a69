"""Writes the state beside the answers: no client and no reload waits for its disk."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from jwks_server.errors import JwksError
from jwks_server.source.remembered import Remembered
from jwks_server.threads import in_thread

# Writing takes a disk's time, and a whole file each time; a change is on the disk about this long after it at the most.
_PAUSE_SECONDS = 1.0
# A disk that hangs doesn't keep the process from ending for longer.
_LAST_WRITE_SECONDS = 5.0


class Keeper:
    """Keeps the state file equal to what the next restart must know.

    The first change after a pause is written at once, and later ones together when the pause is over. What can't be
    written is tried again.

    Args:
        remembered: What the next restart must know.
        told: Called with the faults of the file, by code, before and after they change.
    """

    def __init__(
        self, remembered: Remembered, told: Callable[[Mapping[str, JwksError], Mapping[str, JwksError]], None]
    ) -> None:
        self.faults: Mapping[str, JwksError] = {}
        self._remembered = remembered
        self._told = told
        self._unsaved = asyncio.Event()
        self._writing = asyncio.Lock()

    def wake(self) -> None:
        """Have written what is not written yet, if there is something. Never blocks."""
        if self._remembered.unsaved:
            self._unsaved.set()
        else:
            self._tell()

    async def run(self) -> None:
        """Write whenever there is something to write, without end."""
        while True:
            await self._unsaved.wait()
            await self.save()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def save(self) -> None:
        """Write now what is not written yet."""
        async with self._writing:
            self._unsaved.clear()
            await in_thread(self._remembered.save)
        self._tell()
        self.wake()  # what could not be written is tried again

    async def finish(self) -> None:
        """Write what is not written yet, before the process ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITE_SECONDS):
                await self.save()

    def _tell(self) -> None:
        before, self.faults = self.faults, self._remembered.faults
        if before != self.faults:
            self._told(before, self.faults)
