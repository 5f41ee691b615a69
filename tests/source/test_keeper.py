"""The state is written beside the answers."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from support import build, key, public_pem

from jwks_server import atomic
from jwks_server.errors import StateUnusable
from jwks_server.keys.keyset import KeySet, read_file
from jwks_server.keys.policy import Policy
from jwks_server.source.keeper import Keeper
from jwks_server.source.remembered import Remembered
from jwks_server.source.state import StateFile


def keyset(number: int) -> KeySet:
    """Build a set of one key."""
    return build([read_file("a.pem", public_pem(key("P-256", number)), None)], Policy(), None, 5.0)


def keeper(path: Path) -> tuple[Remembered, Keeper]:
    """Make a keeper of a state file."""
    remembered = Remembered(StateFile(path))
    return remembered, Keeper(remembered, lambda _before, _now: None)


async def test_changes_during_a_pause_are_written_together_and_at_the_end(tmp_path: Path) -> None:
    """The first change is written at once; the end doesn't wait for the pause, and nothing is lost."""
    path = tmp_path / "state.json"
    remembered, one = keeper(path)
    running = asyncio.create_task(one.run())
    remembered.put({"/a": keyset(0)})
    one.wake()
    while not path.exists():
        await asyncio.sleep(0)
    for number in range(4):
        remembered.put({"/a": keyset(0), "/b": keyset(number)})
        one.wake()
    await one.finish()
    running.cancel()
    assert StateFile(path).load()["/b"].keys[0].kid == keyset(3).keys[0].kid


async def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a write hangs, more can be put, and it is written when the disk answers."""
    path, answers, asked = tmp_path / "state.json", threading.Event(), threading.Event()
    write = atomic.write

    def hanging(target: Path, data: bytes, *, unique: bool) -> None:
        asked.set()
        answers.wait()
        write(target, data, unique=unique)

    monkeypatch.setattr(atomic, "write", hanging)
    remembered, one = keeper(path)
    remembered.put({"/a": keyset(0)})
    saving = asyncio.create_task(one.save())
    while not asked.is_set():
        await asyncio.sleep(0)
    remembered.put({"/a": keyset(1)})
    one.wake()
    assert not path.exists()
    answers.set()
    await saving
    assert remembered.unsaved
    await one.finish()
    assert StateFile(path).load()["/a"].keys[0].kid == keyset(1).keys[0].kid


def test_a_state_file_that_hangs_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a while, and not overwritten, since it may hold something."""
    path, answers = tmp_path / "state.json", threading.Event()
    StateFile(path).save({"/a": keyset(0)})
    written, opened = path.read_bytes(), os.open

    def hanging(name: Path, flags: int, *more: int, **named: int) -> int:
        if Path(name) == path:
            answers.wait()
        return opened(name, flags, *more, **named)

    monkeypatch.setattr(os, "open", hanging)
    state = StateFile(path)
    with pytest.raises(StateUnusable, match="does not answer"):
        state.load()
    answers.set()
    with pytest.raises(StateUnusable):
        state.save({"/a": keyset(1)})
    assert path.read_bytes() == written
