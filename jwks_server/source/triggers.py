"""The reasons to observe the directory, collected in one place where the reloader waits."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
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
# Names of files by the path of their issuer; None stands for all files in its folder.
Files = Mapping[str, Collection[str] | None]


@dataclass(frozen=True, slots=True)
class Hint:
    """A trigger, and what it is about.

    Attributes:
        trigger: Why to look.
        issuer: The path of the issuer that it is about; ``EVERYWHERE`` if that isn't known.
        file: The name of the one file that it is about, or ``jwks.toml``; None to look at the whole folder.
    """

    trigger: Trigger
    issuer: str = EVERYWHERE
    file: str | None = None


def everything(hints: Collection[Hint]) -> bool:
    """Return whether hints ask to look at all issuers; so does the start, which has none."""
    return not hints or any(hint.issuer == EVERYWHERE for hint in hints)


def named(hints: Iterable[Hint], due: Files) -> Files:
    """Return the names of the files to look at, by the path of their issuer; None stands for the whole folder.

    Args:
        hints: What has happened.
        due: The same for the issuers whose time has come. A schedule by itself is no reason to look at more.
    """
    found: dict[str, Collection[str] | None] = dict(due)
    for hint in hints:
        names = found.get(hint.issuer, ())
        if hint.trigger is not Trigger.SCHEDULE or hint.issuer not in due:
            found[hint.issuer] = None if hint.file is None or names is None else {*names, hint.file}
    return found


class Triggers:
    """A mailbox that coalesces: any number of triggers during a reload make one more reload."""

    def __init__(self) -> None:
        self._waiting: set[Hint] = set()
        self._arrived = asyncio.Event()

    def put(self, trigger: Trigger, issuer: str = EVERYWHERE, file: str | None = None) -> None:
        """Ask for a reload of one file of an issuer, of an issuer, by its path, or of all. Never blocks."""
        self._waiting.add(Hint(trigger, issuer, file))
        self._arrived.set()

    async def get(self) -> frozenset[Hint]:
        """Wait for a trigger, and take all hints that have arrived."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = frozenset(self._waiting)
        self._waiting.clear()
        return taken
