"""Work in slices: others get their turn, and what has not changed is not done again."""

import asyncio
import time

from jwks_server.errors import DirectoryMissing
from jwks_server.keys.evaluation import Evaluation
from jwks_server.serving.slices import Facts, PerIssuer, Steps, in_slices


def busy(turns: int) -> Steps[str]:
    """Work for a while, a millisecond at a time."""
    for _ in range(turns):
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass
        yield
    return "done"


async def test_others_get_their_turn() -> None:
    """Between the slices the event loop runs what else there is."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert await in_slices(busy(20)) == "done"
    assert turns >= 10
    task.cancel()


async def test_only_what_changed_is_written_again() -> None:
    """An issuer is written again when a fact about it is replaced; one that is gone is left out."""
    written: list[str] = []

    def write(issuer: str, facts: Facts) -> Steps[str]:
        written.append(issuer)
        yield
        return f"{issuer} {len(facts.faults)}"

    async def read(facts: dict[str, Facts]) -> tuple[object, list[str]]:
        written.clear()
        return await in_slices(pages.steps(facts)), list(written)

    pages = PerIssuer(write)
    one, other = Facts(None, Evaluation(), ()), Facts(None, Evaluation(), ())
    first, done = await read({"/a": one, "/b": other})
    assert (first, done) == ({"/a": "/a 0", "/b": "/b 0"}, ["/a", "/b"])
    again, done = await read({"/a": Facts(*one), "/b": other})
    assert again is first
    assert done == []
    faulty = other._replace(faults=(DirectoryMissing("gone"),))
    assert await read({"/a": one, "/b": faulty}) == ({"/a": "/a 0", "/b": "/b 1"}, ["/b"])
    assert await read({"/a": one._replace(evaluation=Evaluation()), "/b": faulty}) == (
        {"/a": "/a 0", "/b": "/b 1"},
        ["/a"],
    )
    assert await read({"/b": faulty}) == ({"/b": "/b 1"}, [])
    assert await read({"/b": faulty, "/c": one}) == ({"/b": "/b 1", "/c": "/c 0"}, ["/c"])
