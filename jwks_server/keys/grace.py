"""What a scan saw -> what to believe of it: a file that is half written or just replaced is waited for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Item(Protocol):
    """Something read from a file."""

    @property
    def good(self) -> bool:
        """Whether it can be used."""


T = TypeVar("T", bound=Item)


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """The last good version of a file, and since when the file has been bad or gone, if it is."""

    item: T
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Settled(Generic[T]):
    """What to believe.

    Attributes:
        items: The files by name, with the last good version in place of those that are waited for.
        held: What to remember until the next scan.
        until: When the first wait ends, in seconds since the epoch; None where nothing is waited for.
    """

    items: Mapping[str, T]
    held: Mapping[str, Held[T]]
    until: float | None


def settle(
    seen: Mapping[str, T], held: Mapping[str, Held[T]], now: float, *, bad_for: float, gone_for: float
) -> Settled[T]:
    """Keep a good file's last version for a while after it turned bad or vanished.

    Args:
        seen: What the scan saw, by name.
        held: What the last call said to remember.
        now: The time of the scan, in seconds since the epoch.
        bad_for: How long a bad file is waited for, in seconds.
        gone_for: How long a missing name is waited for, in seconds.
    """
    items: dict[str, T] = {}
    remembered: dict[str, Held[T]] = {}
    ends: list[float] = []
    for name in {**held, **seen}:
        item, last = seen.get(name), held.get(name)
        if item is not None and item.good:
            items[name], remembered[name] = item, Held(item)
            continue
        if last is not None:
            since = now if last.since is None else min(last.since, now)
            end = since + (bad_for if item is not None else gone_for)
            if now < end:
                items[name], remembered[name] = last.item, Held(last.item, since)
                ends.append(end)
                continue
        if item is not None:
            items[name] = item
    return Settled(items, remembered, min(ends, default=None))
