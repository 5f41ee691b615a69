"""Ordered sequences that are merged without looking at each item again."""

import bisect
from collections.abc import Callable, Iterable
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
