"""The reasons to observe the directory, collected in one place where the reloader waits."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """Why a reload happens. A trigger does not say what changed; only an observation does."""

    EVENT = "event"
    PERIOD = "period"
    SCHEDULE = "schedule"
    SIGHUP = "sighup"


# Stands for an issuer's path when it isn't known which issuer a trigger is about.
EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class Hint:
    """Why to look, and where.

    Attributes:
        trigger: The reason.
        issuer: The path of the issuer that it is about.
        file: The name of the one file in its folder that it is about; None for the whole folder.
    """

    trigger: Trigger
    issuer: str = EVERYWHERE
    file: str | None = None


class Triggers:
    """A mailbox that coalesces: any number of triggers during a reload make one more reload."""

    def __init__(self) -> None:
        self._waiting: set[Hint] = set()
        self._arrived = asyncio.Event()

    def put(self, trigger: Trigger, issuer: str = EVERYWHERE, file: str | None = None) -> None:
        """Ask for a reload of a file of an issuer, of an issuer, by its path, or of all. Never blocks."""
        self._waiting.add(Hint(trigger, issuer, file))
        self._arrived.set()

    async def get(self) -> frozenset[Hint]:
        """Wait for a hint, and take all that have arrived."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = frozenset(self._waiting)
        self._waiting.clear()
        return taken
