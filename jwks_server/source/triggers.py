"""The reasons to observe the directory, collected in one place where the reloader waits."""

import asyncio
from enum import StrEnum


class Trigger(StrEnum):
    """Why a reload happens. A trigger does not say what changed; only an observation does."""

    EVENT = "event"
    PERIOD = "period"
    SCHEDULE = "schedule"
    SIGHUP = "sighup"


# Stands for an issuer's path when it isn't known which issuer a trigger is about.
EVERYWHERE = ""


class Triggers:
    """A mailbox that coalesces: any number of triggers during a reload make one more reload."""

    def __init__(self) -> None:
        self._waiting: set[tuple[Trigger, str]] = set()
        self._arrived = asyncio.Event()

    def put(self, trigger: Trigger, issuer: str = EVERYWHERE) -> None:
        """Ask for a reload of one issuer, by its path, or of all. Never blocks."""
        self._waiting.add((trigger, issuer))
        self._arrived.set()

    async def get(self) -> frozenset[tuple[Trigger, str]]:
        """Wait for a trigger, and take all that have arrived, each with its issuer."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = frozenset(self._waiting)
        self._waiting.clear()
        return taken
