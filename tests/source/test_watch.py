"""The directory as a stream of triggers: each way in which watchfiles goes silent, and what wakes it."""

import asyncio
import fnmatch
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support import HANG_SECONDS

from jwks_server.source import notices as noticing
from jwks_server.source import places as placing
from jwks_server.source import watch as watching
from jwks_server.source.patience import Patience
from jwks_server.source.places import find
from jwks_server.source.rescan import Rescan
from jwks_server.source.triggers import Hint, Trigger
from jwks_server.source.watch import watch
from jwks_server.source.way import place_at
from jwks_server.stats import Reloads

NEVER = 3600.0


def wants(pattern: str, name: str) -> bool:
    """Tell whether a name matters."""
    return name == "..data" or (fnmatch.fnmatchcase(name, pattern) and not name.startswith("."))


class Watching:
    """A watch in the background."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[Hint] = asyncio.Queue()

    async def event(self) -> str:
        """Wait for the next event; tell which issuer it is about."""
        async with asyncio.timeout(HANG_SECONDS):
            while True:
                hint = await self.seen.get()
                if hint.trigger is Trigger.EVENT:
                    return hint.issuer

    async def sees(self, issuer: str, path: Path) -> None:
        """Touch a file, again and again, until that is an event of an issuer; the watch may start again first."""
        async with asyncio.timeout(HANG_SECONDS):
            while True:
                path.touch()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        while await self.event() != issuer:
                            pass
                        return

    async def quiet(self) -> None:
        """Wait until the events of what was done so far are over: none for ten steps of the watch."""
        while True:
            try:
                async with asyncio.timeout(0.1):
                    await self.seen.get()
            except TimeoutError:
                return


@asynccontextmanager
async def watched(path: Path, interval: float = NEVER, name: str = "*") -> AsyncIterator[Watching]:
    """Watch a directory, and wait until the watch is armed."""
    watching = Watching()

    async def run() -> None:
        async for hint in watch(path, Rescan(interval, Reloads()), partial(wants, name)):
            watching.seen.put_nowait(hint)

    task = asyncio.create_task(run())
    await watching.event()
    try:
        yield watching
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with a parent of its own."""
    path = tmp_path / "parent" / "keys"
    path.mkdir(parents=True)
    return path


async def test_files(keys: Path) -> None:
    """A file that comes, changes or goes is an event."""
    async with watched(keys) as one:
        for change in (
            lambda: (keys / "a").write_bytes(b"1"),
            lambda: (keys / "a").write_bytes(b"2"),
            lambda: (keys / "a").rename(keys / "b"),
            (keys / "b").unlink,
        ):
            await one.quiet()
            change()
            await one.event()


async def test_unwanted_names(keys: Path) -> None:
    """What is of no interest is no event, in the directory or beside it."""
    async with watched(keys) as one:
        await one.quiet()
        (keys / ".litter").touch()
        (keys.parent / "other").touch()
        await one.quiet()
        (keys / "a").touch()
        await one.event()


async def test_folders(keys: Path) -> None:
    """A change in an issuer's folder, or in the folder that a link leads to, names the issuer."""
    outside = keys.parent / "outside"
    for folder in (keys / "acme", keys / ".hidden", outside):
        folder.mkdir()
    (keys / "linked").symlink_to(outside)
    async with watched(keys) as one:
        await one.quiet()
        (keys / ".hidden" / "a").touch()
        (keys / "acme" / ".litter").touch()
        (keys / "acme" / "a").touch()
        assert await one.event() == "/acme"
        await one.quiet()
        (outside / "a").touch()
        assert await one.event() == "/linked"
        await one.quiet()
        (keys / "a").touch()
        assert await one.event() == "/"


async def test_events_without_end(keys: Path) -> None:
    """While one issuer's events never pause, a look at everything still comes each interval."""
    (keys / "acme").mkdir()
    async with watched(keys, 0.05) as one, asyncio.timeout(HANG_SECONDS):
        seen: list[Hint] = []
        while seen.count(Hint(Trigger.PERIOD)) < 3 or Hint(Trigger.EVENT, "/acme", "a") not in seen:
            (keys / "acme" / "a").touch()
            seen.append(await one.seen.get())


async def test_folders_come_and_go(keys: Path) -> None:
    """A new folder is watched from then on, as is one that takes its place; a removed one is an event."""
    async with watched(keys) as one:
        for _ in range(3):
            await one.quiet()
            (keys / "acme").mkdir()
            await one.event()
            await one.quiet()
            (keys / "acme" / "a").touch()
            assert await one.event() == "/acme"
            await one.quiet()
            (keys / "acme").rename(keys / ".old")
            await one.event()
            shutil.rmtree(keys / ".old")


async def test_volumes(keys: Path) -> None:
    """In a volume the swap of the data link counts; a folder mounted beside it has a data link of its own."""
    for name in ("..1/items", "..2/items", "acme/..1"):
        (keys / name).mkdir(parents=True)
    (keys / "..data").symlink_to("..1")
    (keys / "items").symlink_to("..data/items")
    async with watched(keys) as one:
        await one.quiet()
        (keys / "..1" / "items" / "a").touch()
        (keys / "acme" / "..data").symlink_to("..1")
        assert await one.event() == "/acme"
        await one.quiet()
        (keys / "new").symlink_to("..2")
        (keys / "new").rename(keys / "..data")
        assert await one.event() == "/"


def delete_and_recreate(keys: Path) -> None:
    """Delete the directory and make it anew."""
    shutil.rmtree(keys)
    keys.mkdir()


def move_away_and_recreate(keys: Path) -> None:
    """Move the directory and make a new one in its place."""
    keys.rename(keys.parent / "old")
    keys.mkdir()


def exchange(keys: Path) -> None:
    """Put another directory in its place by two renames."""
    other = keys.parent / "other"
    other.mkdir()
    keys.rename(keys.parent / "old")
    other.rename(keys)


@pytest.mark.parametrize("change", [delete_and_recreate, move_away_and_recreate, exchange])
async def test_directory_is_another_one(keys: Path, change: Callable[[Path], None]) -> None:
    """After the directory itself was replaced, the new one is watched, by events alone."""
    async with watched(keys) as one:
        for _ in range(3):
            shutil.rmtree(keys.parent / "old", ignore_errors=True)
            await one.quiet()
            change(keys)
            await one.event()
            await one.quiet()
            (keys / "a").touch()
            await one.event()


@pytest.mark.parametrize("below", ["", "sub"])
async def test_link_is_swapped(tmp_path: Path, below: str) -> None:
    """A link to the directory, or on the way to it, that is swapped is an event, as is what follows (git-sync)."""
    for name in ("one", "two"):
        (tmp_path / name / below).mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to("one")
    async with watched(link / below if below else link) as one:
        for target in ("two", "one"):
            await one.quiet()
            (tmp_path / "new").symlink_to(target)
            (tmp_path / "new").rename(link)
            await one.event()
            await one.quiet()
            (tmp_path / target / below / f"in-{target}").touch()
            await one.event()


async def test_missing_at_start(tmp_path: Path) -> None:
    """A directory that is made later is watched from then on, its parents missing too."""
    path = tmp_path / "a" / "b" / "keys"
    async with watched(path) as one:
        for part in (tmp_path / "a", tmp_path / "a" / "b", path):
            await one.quiet()
            part.mkdir()
            await one.event()
        await one.quiet()
        (path / "a").touch()
        await one.event()


@pytest.mark.parametrize("where", ["keys", "parent"])
async def test_name_that_is_not_utf8(keys: Path, where: str) -> None:
    """A name that is not UTF-8 ends watchfiles' watch, and ours goes on."""
    folder = keys if where == "keys" else keys.parent
    async with watched(keys, 0.2) as one:
        await one.quiet()
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).touch()
        await one.event()
        for name in ("a", "b"):
            (keys / name).touch()
            await one.event()


async def test_place_that_may_not_be_entered(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the way to the directory can't be walked the watch tries again each interval."""
    walk, failing = find, True

    def places(path: Path, patience: Patience) -> object:
        if failing:
            raise PermissionError
        return walk(path, patience)

    monkeypatch.setattr(watching, "find", places)
    async with watched(keys, 0.01) as one:
        failing = False
        await one.event()
        (keys / "a").touch()
        await one.event()


async def test_rescan_alone(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no event ever comes (NFS, FUSE, a lost event) a trigger comes each interval."""

    class Deaf:
        def __init__(self, _paths: list[str], **_options: object) -> None:
            self.close = lambda: None

        def watch(self, *_options: object) -> str:
            return "timeout"

    monkeypatch.setattr(noticing, "RustNotify", Deaf)
    async with watched(keys, 0.01) as one:
        for _ in range(3):
            async with asyncio.timeout(HANG_SECONDS):
                assert (await one.seen.get()).trigger is Trigger.PERIOD


async def test_watch_that_can_not_be_opened(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kernel has no watch left the rescan goes on."""

    def exhausted(_paths: list[str], **_options: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(noticing, "RustNotify", exhausted)
    async with watched(keys, 0.01) as one:
        async with asyncio.timeout(HANG_SECONDS):
            while (await one.seen.get()).trigger is not Trigger.PERIOD:
                pass


def remade(folder: Path) -> None:
    """Delete a folder and make it again until it has the same inode number, as ext4 does it at once."""
    inode = folder.stat().st_ino
    for _ in range(100):
        shutil.rmtree(folder)
        folder.mkdir()
        if folder.stat().st_ino == inode:
            return
    # tmpfs counts on; there the case does not exist


@pytest.mark.parametrize("place", ["disk", "memory"])
async def test_folder_made_again(tmp_path: Path, place: str, memory: Path) -> None:
    """A folder that was deleted and made again is watched, by events alone, with the same inode number too."""
    keys = (memory if place == "memory" else tmp_path) / "keys"
    (keys / "acme").mkdir(parents=True)
    async with watched(keys) as one:
        for _ in range(3):
            await one.quiet()
            remade(keys / "acme")
            await one.event()
            await one.sees("/acme", keys / "acme" / "a")


async def test_target_of_a_link_made_again(tmp_path: Path) -> None:
    """The folder that an issuer's link leads to, outside the directory, can be deleted and made again."""
    keys, store = tmp_path / "keys", tmp_path / "store"
    (store / "acme").mkdir(parents=True)
    keys.mkdir()
    (keys / "acme").symlink_to("../store/acme")
    async with watched(keys) as one:
        for change in (remade, exchange_two):
            await one.quiet()
            change(store / "acme")
            await one.event()
            await one.sees("/acme", store / "acme" / "a")


def exchange_two(folder: Path) -> None:
    """Put another folder in a folder's place."""
    other = folder.parent / "other"
    other.mkdir()
    folder.rename(folder.parent / "old")
    other.rename(folder)


async def test_issuers_that_are_one_folder(keys: Path) -> None:
    """A change in a folder that is several issuers' is an event of each, whatever the name it is made under."""
    (keys / "acme").mkdir()
    for name in ("a-link", "z-link"):
        (keys / name).symlink_to("acme")
    (keys / "self").symlink_to(".")
    (keys / "up").symlink_to("..")
    async with watched(keys) as one:
        for path, issuers in (
            (keys / "acme" / "a", {"/acme", "/a-link", "/z-link"}),
            (keys / "z-link" / "b", {"/acme", "/a-link", "/z-link"}),
            (keys / "c", {"/", "/self"}),
            (keys.parent / "d", {"/up"}),
        ):
            await one.quiet()
            path.touch()
            seen: set[str] = set()
            while seen < issuers:
                seen.add(await one.event())
            assert seen == issuers


async def test_working_directory_that_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the path is relative and the working directory is gone, that is told, and the rescan goes on."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work").rmdir()
    with capture_logs() as logs:
        async with watched(Path("keys"), 0.01) as one, asyncio.timeout(HANG_SECONDS):
            while (await one.seen.get()).trigger is not Trigger.PERIOD:
                pass
    assert [(line["event"], "absolute" in line["reason"]) for line in logs] == [
        ("rescan-paced", True),
        ("watch-failed", True),
    ]


async def test_link_into_a_filesystem_that_hangs(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out, and the folders beside it are watched."""
    (keys / "acme").mkdir()
    (keys / "hung").symlink_to(keys.parent)
    walk, go_on = place_at, threading.Event()

    def place(path: str) -> object:
        if path.endswith("/hung"):
            assert go_on.wait(HANG_SECONDS)
        return walk(path)

    monkeypatch.setattr(placing, "place_at", place)
    monkeypatch.setattr(watching, "Patience", lambda: Patience(0.1))
    try:
        async with watched(keys) as one:
            await one.quiet()
            (keys / "acme" / "a").touch()
            assert await one.event() == "/acme"
    finally:
        go_on.set()


async def test_hints_name_the_file(keys: Path) -> None:
    """An event names the issuer and the file; one about a volume's data names the whole folder."""
    (keys / "acme").mkdir()
    async with watched(keys) as one, asyncio.timeout(HANG_SECONDS):
        for path, hint in (
            (keys / "a", Hint(Trigger.EVENT, "/", "a")),
            (keys / "acme" / "b", Hint(Trigger.EVENT, "/acme", "b")),
            (keys / "acme" / "..data", Hint(Trigger.EVENT, "/acme")),
            (keys / "..data", Hint(Trigger.EVENT, "/")),
        ):
            await one.quiet()
            path.touch()
            while await one.seen.get() != hint:
                pass


async def test_folder_that_is_filled_before_it_is_watched(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes into a new folder before the kernel watches it is looked for after that."""
    follow, filled = noticing.Notices.follow, threading.Event()

    def late(notices: noticing.Notices, add: tuple[str, ...], drop: tuple[str, ...] = ()) -> None:
        if str(keys / "acme") in add:
            assert filled.wait(HANG_SECONDS)
        follow(notices, add, drop)

    monkeypatch.setattr(noticing.Notices, "follow", late)
    async with watched(keys, name="*.pem") as one:
        await one.quiet()
        (keys / "acme").mkdir()
        (keys / "acme" / "a.pem").touch()
        await one.quiet()
        filled.set()
        while await one.event() != "/acme":
            pass


async def test_folder_in_the_place_of_another(keys: Path) -> None:
    """A folder that takes the path of one that was moved away is watched, and the other one no longer."""
    (keys / "acme").mkdir()
    async with watched(keys) as one:
        await one.quiet()
        (keys / "acme").rename(keys.parent / "away")
        (keys / "acme").mkdir()
        await one.event()
        await one.sees("/acme", keys / "acme" / "a")
        await one.quiet()
        (keys.parent / "away" / "b").touch()
        (keys / "c").touch()
        assert await one.event() == "/"


async def test_folder_link_that_leads_elsewhere(keys: Path) -> None:
    """After an issuer's link was changed, the folder that it leads to is watched, and the others still are."""
    store = keys.parent / "store"
    for name in ("one", "two"):
        (store / name).mkdir(parents=True)
    (keys / "other").mkdir()
    (keys / "acme").symlink_to(store / "one")
    async with watched(keys) as one:
        for target in ("two", "one"):
            await one.quiet()
            (keys / ".new").symlink_to(store / target)
            (keys / ".new").rename(keys / "acme")
            await one.event()
            await one.sees("/acme", store / target / "a")
            await one.sees("/other", keys / "other" / "a")


async def test_a_link_on_the_way_of_many_folders(keys: Path) -> None:
    """One link that many folders' links pass through is watched for all of them."""
    store = keys.parent / "store"
    for name in ("one/a", "one/b", "two/a", "two/b"):
        (store / name).mkdir(parents=True)
    (store / "current").symlink_to("one")
    for name in ("a", "b"):
        (keys / name).symlink_to(f"../store/current/{name}")
    async with watched(keys, name="*.pem") as one:
        await one.quiet()
        (store / "new").symlink_to("two")
        (store / "new").rename(store / "current")
        assert {await one.event() for _ in range(4)} == {"/", "/a", "/b"}
        await one.sees("/a", store / "two" / "a" / "a.pem")
        await one.sees("/b", store / "two" / "b" / "a.pem")


async def test_folder_that_comes_without_an_event(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no event told, as after a mount, is watched from the next rescan on."""
    real = find
    hidden = True

    def without(path: Path, patience: Patience) -> object:
        found = real(path, patience)
        return replace(found, spots={}) if hidden else found

    (keys / "acme").mkdir()
    monkeypatch.setattr(watching, "find", without)
    async with watched(keys, 0.05) as one:
        (keys / "acme" / "a").touch()
        await one.quiet()
        hidden = False
        await one.sees("/acme", keys / "acme" / "a")
