"""What the kernel reports about directories that are added and removed one by one."""

import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import HANG_SECONDS
from watchfiles._rust_notify import RustNotify

from jwks_server.source import inotify
from jwks_server.source import notices as noticing
from jwks_server.source.notices import Events, Notices


class Heard:
    """Notices, and what they reported."""

    def __init__(self) -> None:
        self.events: queue.Queue[Events] = queue.Queue()
        self.notices = Notices(self.events.put)

    def until(self, path: Path, *, other: bool) -> None:
        """Wait for an event about a path."""
        deadline = time.monotonic() + HANG_SECONDS
        while (str(path), other) not in self.events.get(timeout=deadline - time.monotonic()):
            pass


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Make notices, and end them."""
    heard = Heard()
    yield heard
    heard.notices.close()


def folders(above: Path, number: int) -> list[Path]:
    """Make some folders."""
    made = [above / f"folder-{one}" for one in range(number)]
    for path in made:
        path.mkdir()
    return made


def threads() -> int:
    """Count the threads that wait for events."""
    return sum(one.name == "jwks-events" for one in threading.enumerate())


def test_one_by_one(tmp_path: Path, heard: Heard) -> None:
    """Directories that are added one by one are all reported about, by few threads; one that is dropped is not."""
    made, before = folders(tmp_path, 100), threads()
    for path in made:
        heard.notices.follow([str(path)])
    assert {*heard.notices.paths} == {*map(str, made)}
    for path in made:
        (path / "a").touch()
        heard.until(path / "a", other=True)
    deadline = time.monotonic() + HANG_SECONDS
    while threads() - before > 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    heard.notices.follow([], [str(made[0])])
    (made[0] / "b").touch()
    (made[1] / "b").touch()
    heard.until(made[1] / "b", other=True)
    assert str(made[0] / "b") not in {path for some in heard.events.queue for path, _ in some}


def test_a_new_directory_opens_no_other(tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory beside hundreds is opened alone."""
    opened: list[int] = []
    real = RustNotify

    def counted(paths: list[str], **options: bool) -> object:
        opened.append(len(paths))
        return real(paths, **options)

    monkeypatch.setattr(noticing, "RustNotify", counted)
    first, *others = folders(tmp_path, 400)
    heard.notices.follow(map(str, others))
    heard.notices.follow([str(first)])
    assert opened == [256, 143, 1]


def test_another_directory_at_the_path(tmp_path: Path, heard: Heard) -> None:
    """After a directory is followed again, the one that is at the path now is reported about, and not the old one."""
    (path,) = folders(tmp_path, 1)
    heard.notices.follow([str(path)])
    path.rename(tmp_path / "old")
    path.mkdir()
    heard.notices.follow([str(path)])
    (tmp_path / "old" / "in-old").touch()
    (path / "a").touch()
    heard.until(path / "a", other=True)
    assert str(path / "in-old") not in {one for some in heard.events.queue for one, _ in some}


def test_vanished_directories(tmp_path: Path, heard: Heard) -> None:
    """Directories that vanish before they are opened cost the others nothing."""
    made = folders(tmp_path, 10)
    for path in made[::2]:
        path.rmdir()
    heard.notices.follow(map(str, made))
    assert {*heard.notices.paths} == {*map(str, made[1::2])}
    shutil.rmtree(made[1])
    heard.until(made[1], other=True)
    heard.notices.follow([str(made[0])])
    assert str(made[0]) not in heard.notices.paths


def test_a_name_that_is_not_utf8(tmp_path: Path, heard: Heard) -> None:
    """A group that fails is reported as other directories, and the other groups go on."""
    one, two = folders(tmp_path, 2)
    heard.notices.follow([str(one)])
    heard.notices.follow(map(str, folders(two, 256)))
    Path(os.fsdecode(os.fsencode(one) + b"/\xff\xfe")).touch()
    heard.until(one, other=True)
    (two / "folder-7" / "a").touch()
    heard.until(two / "folder-7" / "a", other=True)
    heard.notices.follow([str(one)])
    (one / "a").touch()
    heard.until(one / "a", other=True)


@pytest.mark.parametrize("limit", ["_CROWD", "_CROWD_BYTES"])
def test_a_crowd_of_events(tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Where so much happens that the kernel may have dropped events, the directories count as others."""
    monkeypatch.setattr(noticing, limit, 20 if limit == "_CROWD" else -1)
    (path,) = folders(tmp_path, 1)
    heard.notices.follow([str(path)])
    for number in range(1000):
        (path / str(number)).touch()
    heard.until(path, other=True)


@pytest.mark.parametrize("blind", ["signal", "descriptor"])
def test_without_a_signal(tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, blind: str) -> None:
    """Where the kernel sends no signal, or the descriptor isn't found, events are asked for again and again."""
    if blind == "signal":
        monkeypatch.setattr(inotify, "signals", lambda _descriptor: False)
    else:
        monkeypatch.setattr(inotify, "among", lambda _numbers: set())
    (path,) = folders(tmp_path, 1)
    heard.notices.follow([str(path)])
    for name in ("a", "b"):
        (path / name).touch()
        heard.until(path / name, other=True)


def test_too_few_watches(tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a group can't be opened, that is an error, and what was followed before still is."""
    real, failing = RustNotify, False

    def limited(paths: list[str], **options: bool) -> object:
        if failing:
            raise OSError(28, "OS file watch limit reached.")
        return real(paths, **options)

    monkeypatch.setattr(noticing, "RustNotify", limited)
    one, two = folders(tmp_path, 2)
    heard.notices.follow([str(one)])
    failing = True
    with pytest.raises(OSError, match="limit reached"):
        heard.notices.follow([str(two)])
    (one / "a").touch()
    heard.until(one / "a", other=True)
    failing = False
    heard.notices.follow([str(two)])
    assert {*heard.notices.paths} == {str(one), str(two)}
