"""The reasons to look at the directory, gathered in one place where the reloader waits."""

import asyncio
from enum import StrEnum


class Trigger(StrEnum):
    """Why a reload happens; none of them says what changed, only a scan does."""

    EVENT = "event"
    PERIOD = "period"
    SCHEDULE = "schedule"
    SIGHUP = "sighup"


class Triggers:
    """A mailbox that coalesces: however many arrive during a reload, one more reload follows."""

    def __init__(self) -> None:
        self._waiting: dict[Trigger, None] = {}
        self._arrived = asyncio.Event()

    def put(self, trigger: Trigger) -> None:
        """Ask for a reload. Never blocks."""
        self._waiting[trigger] = None
        self._arrived.set()

    async def get(self) -> frozenset[Trigger]:
        """Wait until a reload is asked for; take all that asked for it."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = frozenset(self._waiting)
        self._waiting.clear()
        return taken
