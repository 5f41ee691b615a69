"""Large ordered collections that differ in little: they are merged and compared without a step for each item."""

import bisect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

T = TypeVar("T")


def merged(ordered: Iterable[T], more: Iterable[T], order: Callable[[T], Any]) -> tuple[T, ...]:
    """Put items into an ordered sequence; of equal ones, the first come first.

    Args:
        ordered: Items in order. Their order is looked at only where an item may belong.
        more: Other items in any order, usually a few.
        order: Returns what an item is ordered by.
    """
    found = list(ordered)
    if not found:
        return tuple(sorted(more, key=order))
    for one in sorted(more, key=order):
        bisect.insort(found, one, key=order)
    return tuple(found)


def differing(one: Sequence[T], other: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Leave out the objects that two sequences have in common at their beginnings and at their ends."""
    first = _common(one, other)
    one, other = one[first:], other[first:]
    last = _common(one[::-1], other[::-1])
    return one[: len(one) - last], other[: len(other) - last]


def changed(before: Mapping[str, T], after: Mapping[str, T]) -> set[str]:
    """Return the names that have another object than before, or that only one of two mappings has.

    Args:
        before: Ordered by name. No object has two names.
        after: The same.
    """
    if before is after:
        return set()
    one, other = list(before.values()), list(after.values())
    first = _common(one, other)
    last = _common(one[first:][::-1], other[first:][::-1])
    names = chain(islice(before, first, len(one) - last), islice(after, first, len(other) - last))
    return {name for name in names if before.get(name) is not after.get(name)}


def _common(one: Sequence[T], other: Sequence[T]) -> int:
    same = list(map(operator.is_, one, other))
    return same.index(False) if False in same else len(same)
