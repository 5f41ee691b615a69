"""The grace period: a file that turned bad or vanished keeps its last good version for a while."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Item(Protocol):
    """Something that was read from a file."""

    @property
    def good(self) -> bool:
        """Whether it can be used."""


T = TypeVar("T", bound=Item)


@dataclass(frozen=True, slots=True)
class LastGood(Generic[T]):
    """The last good version of a file.

    Attributes:
        item: What the file held.
        since: Since when the file has been bad or missing; None while it is good.
    """

    item: T
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Believed(Generic[T]):
    """What the files count as.

    Attributes:
        items: The files by name, with the last good version in place of a file in its grace period.
        last_good: What the next call must know.
        stand_ins: When the grace period ends, by the name of each file that is in one.
    """

    items: Mapping[str, T]
    last_good: Mapping[str, LastGood[T]]
    stand_ins: Mapping[str, float]


def believe(  # noqa: PLR0913 - the two grace periods are one rule
    seen: Mapping[str, T],
    last_good: Mapping[str, LastGood[T]],
    now: float,
    *,
    bad_for: float,
    gone_for: float,
    changed_at: float = -math.inf,
    among: Iterable[str] | None = None,
) -> Believed[T]:
    """Put the last good version in place of a file that turned bad or vanished a moment ago.

    A clock that was set back starts the grace period again, so that it never lasts longer than it should.

    Args:
        seen: What was read, by name.
        last_good: What the last call returned.
        now: The time of the observation, in seconds since the epoch.
        bad_for: The grace period of a bad file, in seconds.
        gone_for: The grace period of a missing file, in seconds.
        changed_at: When the folder changed last. The grace period of a missing file starts again there: somebody may
            still be writing. It never lasts longer than that of a bad file.
        among: The names whose item is another one than in the last call, and those that were in a grace period after
            it; None if they are not known.
    """
    # Most files are as they were, and there may be many; only the others are looked at one by one.
    items, remembered = dict(seen), dict(last_good)
    stand_ins: dict[str, float] = {}
    names = seen if among is None else sorted(seen.keys() & {*among})
    for name in (*names, *sorted(last_good.keys() - seen.keys())):
        item, last = seen.get(name), remembered.pop(name, None)
        if item is not None and item.good:
            remembered[name] = LastGood(item)
        elif last is not None:
            since = now if last.since is None else min(last.since, now)
            end = since + bad_for if item is not None else _gone_until(since, changed_at, bad_for, gone_for)
            if now < end:
                items[name], remembered[name], stand_ins[name] = last.item, LastGood(last.item, since), end
    return Believed(items, remembered, stand_ins)


def _gone_until(since: float, changed_at: float, bad_for: float, gone_for: float) -> float:
    return min(max(since, changed_at) + gone_for, since + max(bad_for, gone_for))
