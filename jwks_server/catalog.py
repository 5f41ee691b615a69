"""The key registry: the current key set and its finished replies. The one mutable object."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from jwks_server.keys.keyset import KeySet

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """A key set, how long a cache may keep it in seconds, and the replies that were rendered from both."""

    keyset: KeySet
    max_age: int
    replies: R


class Catalog(Generic[R]):
    """What is served now. ``current`` is replaced as a whole, so a reader never sees half a set.

    Attributes:
        current: None until the first set is published.
    """

    def __init__(self) -> None:
        self.current: Entry[R] | None = None

    def publish(self, entry: Entry[R]) -> None:
        """Make a complete set the current one."""
        self.current = entry
