"""The reasons to look at the directory, gathered in one place where the reloader waits."""

import asyncio
from enum import StrEnum


class Trigger(StrEnum):
    """Why a reload happens; none of them says what changed, only a scan does."""

    EVENT = "event"
    PERIOD = "period"
    SCHEDULE = "schedule"
    SIGHUP = "sighup"


# In place of an issuer's path, where it isn't known which one a trigger is about.
EVERYWHERE = ""


class Triggers:
    """A mailbox that coalesces: however many arrive during a reload, one more reload follows."""

    def __init__(self) -> None:
        self._waiting: set[tuple[Trigger, str]] = set()
        self._arrived = asyncio.Event()

    def put(self, trigger: Trigger, issuer: str = EVERYWHERE) -> None:
        """Ask for a reload of one issuer, by its path, or of all. Never blocks."""
        self._waiting.add((trigger, issuer))
        self._arrived.set()

    async def get(self) -> frozenset[tuple[Trigger, str]]:
        """Wait until a reload is asked for; take all that asked for it, each with its issuer."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = frozenset(self._waiting)
        self._waiting.clear()
        return taken
