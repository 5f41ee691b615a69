"""Long work on the event loop in slices, between which clients are answered.

A thread would hold the interpreter's lock for 5 ms at a time, and each client would wait for that.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from typing import Generic, NamedTuple, TypeVar

from jwks_server.errors import JwksError
from jwks_server.keys.evaluation import Evaluation
from jwks_server.published.catalog import Entry
from jwks_server.stats import IssuerReload

T = TypeVar("T")

# Each yield is a place where the work may pause; the result is what the generator returns.
Steps = Generator[None, None, T]

_SLICE_SECONDS = 0.0003


async def in_slices(steps: Steps[T]) -> T:
    """Do work with pauses, and return its result."""
    began = time.perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if time.perf_counter() - began >= _SLICE_SECONDS:
            await asyncio.sleep(0)
            began = time.perf_counter()


class Facts(NamedTuple):
    """What is known about an issuer; each part is replaced when it changes.

    Attributes:
        entry: What it publishes.
        evaluation: What was decided about it.
        faults: What is wrong with it.
        reload: What its last reload gave; None if none is known.
    """

    entry: Entry | None
    evaluation: Evaluation | None
    faults: tuple[JwksError, ...]
    reload: IssuerReload | None = None


class PerIssuer(Generic[T]):
    """What is written about each issuer. It is kept until one of the facts about the issuer is replaced.

    Args:
        write: Writes about an issuer.
    """

    def __init__(self, write: Callable[[str, Facts], Steps[T]]) -> None:
        self._write = write
        self._facts: Mapping[str, Facts] = {}
        self._written: Mapping[str, T] = {}

    def steps(self, facts: Mapping[str, Facts]) -> Steps[Mapping[str, T]]:
        """Write about each issuer; return the same mapping as before if nothing has changed."""
        known, before = self._facts, self._written
        written: dict[str, T] = {}
        news = len(facts) != len(known)
        for issuer, about in facts.items():
            if issuer in known and _same(known[issuer], about):
                written[issuer] = before[issuer]
            else:
                news = True
                written[issuer] = yield from self._write(issuer, about)
            yield
        if not news:
            return before
        self._facts, self._written = facts, written
        return written


def _same(one: Facts, other: Facts) -> bool:
    same = one.entry is other.entry and one.evaluation is other.evaluation and one.reload is other.reload
    return same and one.faults == other.faults
