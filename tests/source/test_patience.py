"""A filesystem that hangs keeps out what is in it, and nothing beside it."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import HANG_SECONDS, key, public_pem

from jwks_server import errors
from jwks_server.keys.observation import Observation
from jwks_server.source import folder as reading
from jwks_server.source.directory import Directory
from jwks_server.source.patience import NoAnswer, Patience


class Hanging:
    """Names whose filesystem does not answer until it is told to."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.waiting = 0
        self._go_on = threading.Event()

    def ask(self, path: object) -> None:
        """Wait if the name is one of those that hang."""
        if Path(os.fsdecode(str(path))).name in self.names:
            self.waiting += 1
            assert self._go_on.wait(HANG_SECONDS)

    def answer(self) -> None:
        """Let all go on, and wait until their threads have ended."""
        self.names.clear()
        self._go_on.set()
        for thread in threading.enumerate():
            if thread.name == "jwks-reading":
                thread.join(HANG_SECONDS)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """Let opening, and reading, hang for some names."""
    one = Hanging()
    real_open, real_contents = os.open, vars(reading)["contents"]

    def opened(path: Any, *more: Any, **named: Any) -> int:
        one.ask(path)
        return real_open(path, *more, **named)

    def contents(name: str, *more: Any) -> bytes:
        one.ask(name)
        data: bytes = real_contents(name, *more)
        return data

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(reading, "contents", contents)
    yield one
    one.answer()


def directory(path: Path) -> Directory:
    """Make a directory that waits for a short time only."""
    made = Directory(path, ["*.pem"])
    made._patience = Patience(0.2)  # noqa: SLF001 - nobody else needs another time
    for folder in (made._root, *made._folders.values()):  # noqa: SLF001 - as above
        folder._patience = made._patience  # noqa: SLF001 - as above
    return made


def seen(one: Directory, issuer: str = "/") -> Observation:
    """Look at everything; give what was seen of one issuer."""
    found = one.read()[issuer]
    assert isinstance(found, Observation)
    return found


def test_file_that_hangs(tmp_path: Path, hanging: Hanging) -> None:
    """It is left behind with its code, every key beside it is read, and one thread waits for it, not more."""
    for number, name in enumerate("abc"):
        (tmp_path / f"{name}.pem").write_bytes(public_pem(key("P-256", number)))
    one = directory(tmp_path)
    hanging.names = {"b.pem"}
    with capture_logs() as logs:
        for _ in range(3):
            found = seen(one).files
            assert [name for name, file in found.items() if file.good] == ["a.pem", "c.pem"]
            assert isinstance(found["b.pem"].error, errors.FileUnreadable)
            assert "does not answer in time" in found["b.pem"].error.message
    assert hanging.waiting == 1
    assert [(line["event"], line["place"]) for line in logs] == [("no-answer", str(tmp_path / "b.pem"))]
    hanging.answer()
    assert all(file.good for file in seen(one).files.values())


def test_known_file_that_hangs(tmp_path: Path, hanging: Hanging) -> None:
    """Its last good version stays, and what changed beside it is seen."""
    for number, name in enumerate("ab"):
        (tmp_path / f"{name}.pem").write_bytes(public_pem(key("P-256", number)))
    one = directory(tmp_path)
    before = seen(one).files["b.pem"]
    hanging.names = {"b.pem"}
    for name in "abc":
        (tmp_path / f"{name}.pem").write_bytes(public_pem(key("P-384")))
    found = seen(one).files
    assert found["b.pem"] is before
    assert {found[name].keys[0].kind.name for name in ("a.pem", "c.pem")} == {"P-384"}


def test_policy_that_hangs(tmp_path: Path, hanging: Hanging) -> None:
    """It can't be read, which is said; the keys are."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "jwks.toml").touch()
    one = directory(tmp_path)
    hanging.names = {"jwks.toml"}
    found = seen(one)
    assert isinstance(found.policy, errors.PolicyInvalid)
    assert found.files["a.pem"].good


def test_issuer_that_hangs(tmp_path: Path, hanging: Hanging) -> None:
    """A folder that hangs is a fault of its issuer; the others are read."""
    for name in ("acme", "beta"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_bytes(public_pem(key("P-256")))
    one = directory(tmp_path)
    hanging.names = {"acme"}
    for _ in range(2):
        assert seen(one, "/beta").files["a.pem"].good
        assert isinstance(one.read()["/acme"], errors.DirectoryUnreadable)
    assert hanging.waiting == 1
    hanging.answer()
    assert seen(one, "/acme").files["a.pem"].good


def test_directory_that_hangs(tmp_path: Path, hanging: Hanging) -> None:
    """It is a fault that is told, again and again, and over as soon as it answers."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    one = directory(tmp_path)
    hanging.names = {tmp_path.name}
    for _ in range(2):
        with pytest.raises(errors.DirectoryUnreadable, match="answer"):
            one.read()
    hanging.answer()
    assert seen(one).files["a.pem"].good


def test_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be had the directory is read in the thread that there is."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert seen(directory(tmp_path)).files["a.pem"].good


def no_thread(_thread: threading.Thread) -> None:
    """Say what Python says at the limit."""
    raise RuntimeError("can't start new thread")


def test_answers_and_errors() -> None:
    """What the work returns or raises comes back; a question without a run is just asked."""
    one = Patience()
    assert one.run(lambda: one.ask("a", lambda: 1)) == 1
    with pytest.raises(ValueError, match="wrong"):
        one.run(lambda: one.ask("a", fails))
    assert one.ask("a", lambda: 2) == 2


def test_slow_one_that_answers_is_asked_again() -> None:
    """A place that answers after all, while the rest is done, is asked again in the same run."""
    one, go_on, tries = Patience(0.05), threading.Event(), []

    def question() -> str:
        tries.append(1)
        assert go_on.wait(HANG_SECONDS)
        return "answer"

    def work() -> str:
        try:
            return one.ask("slow", question)
        except NoAnswer:
            go_on.set()
            while "slow" in one._hanging:  # noqa: SLF001 - that is what it waits for
                pass
            return "none"

    assert one.run(work) == "answer"
    assert len(tries) == 2


def fails() -> Callable[[], None]:
    """Fail."""
    raise ValueError("wrong")
