"""A machine's clock that is set back or forward, with both clocks in the test's hand."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

from support import key, public_pem

from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory
from jwks_server.source.reload import Reloader

START = 1_800_000_000.0


class Machine:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 5.0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.monotonic += seconds


def test_a_clock_that_is_set_back_never_goes_back() -> None:
    """It goes on more slowly until the machine's clock has come up to it; then both are the same."""
    machine = Machine()
    clock = Clock(lambda: machine.wall, lambda: machine.monotonic)
    machine.wait(10)
    readings = [clock()]
    machine.wall -= 8
    for _ in range(60):
        machine.wait(1)
        readings.append(clock())
    assert all(one < other for one, other in itertools.pairwise(readings))
    assert readings[2] - readings[0] > 1
    assert readings[-1] == machine.wall


def test_a_clock_that_is_set_forward_is_followed() -> None:
    """It is the machine's clock, at once."""
    machine = Machine()
    clock = Clock(lambda: machine.wall, lambda: machine.monotonic)
    machine.wall += 3600
    assert clock() == machine.wall


async def test_a_stage_never_goes_back_because_of_the_clock(tmp_path: Path) -> None:
    """A key stays published, and a removed one removed, in the same order, when the clock is set back by hours."""
    now = START
    catalog = Catalog()
    reloader = Reloader(
        Directory(tmp_path, ["*.pem"]),
        Policy(),
        catalog,
        Endpoint("/.well-known/jwks.json"),
        timing=Timing(),
        clock=Clock(lambda: now, None),
    )
    for number in range(3):
        (tmp_path / f"{number}.pem").write_bytes(public_pem(key("P-256", number)))
    at = datetime.fromtimestamp(START + 10, UTC).isoformat()
    (tmp_path / "jwks.toml").write_text(f'[keys."1.pem"]\npublish_at = {at}\n[keys."2.pem"]\nremove_at = {at}\n')
    bodies = []
    for step in (0, 11, -8, 1, -7200, 1, 7200 + 20, -3600, 30):
        now += step
        await reloader.reload()
        keyset = catalog.current.entries["/"].keyset
        bodies.append((keyset.body, [one.state for one in keyset.keys]))
    assert [len(states) for _, states in bodies] == [2] * len(bodies)
    assert bodies[0] != bodies[1]
    assert all(body == bodies[1] for body in bodies[1:])


async def test_a_clock_that_is_set_forward_ends_no_grace_period(tmp_path: Path) -> None:
    """A file that turned bad, and a folder that vanished, keep their keys as long as if nobody had set the clock."""
    machine, catalog = Machine(), Catalog()
    reloader = Reloader(
        Directory(tmp_path, ["*.pem"]),
        Policy(),
        catalog,
        Endpoint("/.well-known/jwks.json"),
        timing=Timing(grace_period=2),
        clock=Clock(lambda: machine.wall, lambda: machine.monotonic),
    )
    (tmp_path / "acme").mkdir()
    for number, name in enumerate(("a.pem", "b.pem", "acme/c.pem")):
        (tmp_path / name).write_bytes(public_pem(key("P-256", number)))
    later = datetime.fromtimestamp(START + 3000, UTC).isoformat()
    (tmp_path / "jwks.toml").write_text(f'[keys."b.pem"]\npublish_at = {later}\n')

    async def published(*, waited: float, stepped: float = 0) -> dict[str, int]:
        machine.wait(waited)
        machine.wall += stepped
        await reloader.reload()
        return {path: len(entry.keyset.keys) for path, entry in catalog.current.entries.items()}

    assert await published(waited=0) == {"/": 1, "/acme": 1}
    (tmp_path / "a.pem").write_bytes(b"-----BEGIN")
    (tmp_path / "acme").rename(tmp_path / ".away")
    assert await published(waited=10) == {"/": 1, "/acme": 1}
    assert await published(waited=0.1, stepped=3600) == {
        "/": 2,
        "/acme": 1,
    }  # a moment has come, a duration is not over
    assert await published(waited=0.2) == {"/": 2}
    assert await published(waited=1.6) == {"/": 2}
    assert await published(waited=0.2) == {"/": 1}


def test_what_is_a_step() -> None:
    """A clock that is set, and a suspended machine, make a step; a clock that is adjusted slowly makes none."""
    machine = Machine()
    clock = Clock(lambda: machine.wall, lambda: machine.monotonic)
    for _ in range(100):
        machine.wait(1)
        machine.wall += 0.05
        clock()
    machine.wall -= 30
    clock()
    machine.wait(400)
    clock()
    assert clock.stepped == 0
    machine.wall += 60
    clock()
    assert clock.stepped == 60
