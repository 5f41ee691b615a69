"""What time alone changes: prepared before its moment, and swapped in at it, with the clock in the test's hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from structlog.testing import capture_logs
from support import HANG_SECONDS, key, public_pem

from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.pages import Endpoint
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Files, Trigger, Triggers

START = 1_800_000_000.0
PEMS = [public_pem(key("P-256", number)) for number in range(4)]


class Gated(Directory):
    """A directory whose reading can be made to wait."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ["*.pem"])
        self.loop = asyncio.get_running_loop()
        self.open, self.reading = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.reads = 0

    def read(self, files: Files = MappingProxyType({}), *, everything: bool = True) -> Mapping[str, Seen]:
        """Wait until the gate is open, and read."""
        if not self.open.is_set():
            self.loop.call_soon_threadsafe(self.reading.set)
            asyncio.run_coroutine_threadsafe(self.open.wait(), self.loop).result()
        self.reads += 1
        return super().read(files, everything=everything)


class House:
    """A running reloader, with its clock and its gate."""

    def __init__(self, path: Path, policy: Policy | None = None) -> None:
        self.now = START
        self.keys = path / "keys"
        self.state = path / "state.json"
        self.catalog = Catalog()
        self.directory = Gated(self.keys)
        self.triggers = Triggers()
        self.sets: list[tuple[int, float]] = []
        self.publish = self.catalog.publish
        self.catalog.publish = self.published  # type: ignore[method-assign]
        self.reloader = Reloader(
            self.directory,
            policy or Policy(),
            self.catalog,
            Endpoint("/k"),
            timing=Timing(rescan=3600, propagation=900),
            state=StateFile(self.state),
            clock=Clock(lambda: self.now, None),
        )

    def published(self, changes: Mapping[str, Entry | None], awaited: frozenset[str] = frozenset()) -> None:
        """Note the number of keys of each set that is published, and when."""
        self.publish(changes, awaited)
        self.sets.append((self.served, self.now - START))

    @property
    def served(self) -> int:
        """Count the keys of all sets."""
        return sum(len(entry.keyset.keys) for entry in self.catalog.current.entries.values())

    async def at(self, seconds: float) -> None:
        """Let the clock show a time after the start; a timer that is due then would wake the schedule."""
        self.now = START + seconds
        self.reloader._schedule.note(())  # noqa: SLF001 - in place of a timer

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(HANG_SECONDS):
            while not met():
                await asyncio.sleep(0.002)

    async def prepared(self, number: int = 1) -> None:
        """Wait until changes of some issuers are prepared, and no thread reads."""
        schedule = self.reloader._schedule  # noqa: SLF001 - no one else needs to see it
        await self.until(lambda: sum(map(bool, schedule._prepared.values())) == number)  # noqa: SLF001 - as above

    async def hang(self, trigger: Trigger = Trigger.PERIOD) -> None:
        """Let a reload begin that can't read the directory."""
        self.directory.open.clear()
        self.directory.reading.clear()
        self.triggers.put(trigger)
        async with asyncio.timeout(HANG_SECONDS):
            await self.directory.reading.wait()


def put(folder: Path, *numbers: int) -> None:
    """Write key files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number}.pem").write_bytes(PEMS[number])


def after(seconds: float) -> str:
    """Write a time after the start."""
    return datetime.fromtimestamp(START + seconds, UTC).isoformat()


@asynccontextmanager
async def running(path: Path, policy: Policy | None = None) -> AsyncIterator[House]:
    """Run a reloader until the block ends."""
    house = House(path, policy)
    task = asyncio.create_task(house.reloader.run(house.triggers))
    async with asyncio.timeout(HANG_SECONDS):
        await house.reloader.started.wait()
    yield house
    house.directory.open.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


@pytest.mark.parametrize("trigger", [Trigger.PERIOD, Trigger.SIGHUP])
@pytest.mark.parametrize(("word", "keys"), [("publish_at", (1, 2)), ("remove_at", (2, 1))])
async def test_the_swap_is_on_time_while_the_directory_hangs(
    tmp_path: Path, trigger: Trigger, word: str, keys: tuple[int, int]
) -> None:
    """A reload that waits for the disk, by a rescan or a SIGHUP, delays no scheduled change; log and state follow."""
    put(tmp_path / "keys", 0, 1)
    (tmp_path / "keys" / "jwks.toml").write_text(f'[keys."1.pem"]\n{word} = {after(10)}\n')
    with capture_logs() as logs:
        async with running(tmp_path) as house:
            await house.prepared()
            await house.reloader.state.save()
            await house.hang(trigger)
            before, written = len(logs), house.state.read_bytes()
            await house.at(9.999)
            await house.at(10)
            await house.until(lambda: house.served == keys[1])
            assert house.sets == [(keys[0], 0.0), (keys[1], 10.0)]
            assert len(logs) == before
            house.directory.open.set()
            event = "key-published" if word == "publish_at" else "key-removed"
            await house.until(lambda: event in [one["event"] for one in logs[before:]])
            await house.reloader.state.save()
            assert house.state.read_bytes() != written
            assert [one["event"] for one in logs[before:]].count(event) == 1
    assert house.sets == [(keys[0], 0.0), (keys[1], 10.0)]


async def test_what_was_read_before_the_moment_never_takes_a_set_back(tmp_path: Path) -> None:
    """A reload that began before a change and ends after it adds its file to the new set, not to the old one."""
    put(tmp_path / "keys", 0, 1)
    (tmp_path / "keys" / "jwks.toml").write_text(f'[keys."1.pem"]\npublish_at = {after(10)}\n')
    async with running(tmp_path) as house:
        await house.prepared()
        await house.hang()
        put(tmp_path / "keys", 2)
        await house.at(10)
        await house.until(lambda: house.served == 2)
        house.directory.open.set()
        await house.until(lambda: house.served == 3)
    assert [keys for keys, _ in house.sets] == [1, 2, 3]


async def test_two_changes_close_together(tmp_path: Path) -> None:
    """The second of two changes within 10 ms is prepared with the first one; both are on time."""
    put(tmp_path / "keys", 0, 1, 2)
    (tmp_path / "keys" / "jwks.toml").write_text(
        f'[keys."1.pem"]\npublish_at = {after(10)}\n[keys."2.pem"]\npublish_at = {after(10.01)}\n'
    )
    async with running(tmp_path) as house:
        await house.prepared()
        await house.hang()
        for seconds, keys in ((10, 2), (10.005, 2), (10.01, 3)):
            await house.at(seconds)
            await house.until(lambda: house.served == keys)  # noqa: B023 - awaited before the next turn
    assert [keys for keys, _ in house.sets] == [1, 2, 3]


async def test_many_issuers_change_in_one_edition(tmp_path: Path) -> None:
    """However many issuers change at a moment, one edition follows another."""
    for number in range(200):
        put(tmp_path / "keys" / f"issuer-{number}", 0, 1)
        (tmp_path / "keys" / f"issuer-{number}" / "jwks.toml").write_text(f'[keys."1.pem"]\npublish_at = {after(10)}\n')
    async with running(tmp_path) as house:
        await house.prepared(200)
        await house.hang()
        await house.at(10)
        await house.until(lambda: house.served == 400)
        assert house.sets == [(200, 0.0), (400, 10.0)]


async def test_the_end_of_retain(tmp_path: Path) -> None:
    """A retiring key leaves at its time, whatever the disk does."""
    put(tmp_path / "keys", 0, 1)
    async with running(tmp_path, Policy(retain=20)) as house:
        (tmp_path / "keys" / "1.pem").unlink()
        for seconds in (0, 1, 2):  # a file that vanished has a grace period
            await house.at(seconds)
            reads = house.directory.reads
            house.triggers.put(Trigger.EVENT)
            await house.until(lambda: house.directory.reads > reads)  # noqa: B023 - awaited before the next turn
        await house.prepared()
        await house.hang()
        (retiring,) = (one for one in house.catalog.current.entries["/"].keyset.keys if one.state == "retiring")
        assert retiring.retires_at is not None
        await house.at(retiring.retires_at - START)
        await house.until(lambda: house.served == 1)


async def test_a_change_in_the_past_holds_at_the_start(tmp_path: Path) -> None:
    """The first set is what it is at that moment, and what was due before is not done again."""
    put(tmp_path / "keys", 0, 1, 2)
    (tmp_path / "keys" / "jwks.toml").write_text(
        f'[keys."1.pem"]\npublish_at = {after(-10)}\n[keys."2.pem"]\nremove_at = {after(-5)}\n'
    )
    async with running(tmp_path) as house:
        await house.at(1)
        assert house.sets == [(2, 0.0)]


async def test_a_file_that_vanishes_before_its_moment_is_not_published(tmp_path: Path) -> None:
    """What was prepared from an earlier look at the folder is not swapped in."""
    put(tmp_path / "keys", 0, 1)
    (tmp_path / "keys" / "jwks.toml").write_text(f'[keys."1.pem"]\npublish_at = {after(10)}\n')
    with capture_logs() as logs:
        async with running(tmp_path) as house:
            await house.prepared()
            (tmp_path / "keys" / "1.pem").unlink()
            for seconds in (5, 6, 7):
                await house.at(seconds)
                reads = house.directory.reads
                house.triggers.put(Trigger.EVENT)
                await house.until(lambda: house.directory.reads > reads)  # noqa: B023 - awaited before the next turn
            await house.until(lambda: not house.catalog.current.entries["/"].keyset.pending)
            await house.at(10)
            reads = house.directory.reads
            house.triggers.put(Trigger.EVENT)
            await house.until(lambda: house.directory.reads > reads)
    assert {keys for keys, _ in house.sets} == {1}
    assert not [one for one in logs if one.get("file") == "1.pem" and one["event"] == "key-published"]


async def test_a_clock_that_is_set_forward_is_noticed(tmp_path: Path) -> None:
    """Timers don't see it; the schedule looks at the clock now and then, though nothing wakes it."""
    put(tmp_path / "keys", 0, 1)
    (tmp_path / "keys" / "jwks.toml").write_text(f'[keys."1.pem"]\npublish_at = {after(7200)}\n')
    async with running(tmp_path) as house:
        house.now += 7200
        await house.until(lambda: house.served == 2)


async def test_safe_to_sign_at_counts_from_the_moment(tmp_path: Path) -> None:
    """A set that was prepared has the times of its moment, not of its preparation."""
    put(tmp_path / "keys", 0, 1)
    (tmp_path / "keys" / "jwks.toml").write_text(f'[keys."1.pem"]\npublish_at = {after(10)}\n')
    async with running(tmp_path) as house:
        await house.prepared()
        await house.at(10)
        await house.until(lambda: house.served == 2)
        new = house.catalog.current.entries["/"].keyset.keys[1]
        assert (new.first_published, new.safe_to_sign_at) == (START + 10, START + 10 + 300 + 900)
