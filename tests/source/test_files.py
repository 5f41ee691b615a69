"""One file: when stat alone can tell that it is the same, and when it has to be read again."""

import mmap
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from support import key, public_pem, serving, thumbprint

from jwks_server.keys.observation import Observation
from jwks_server.source.directory import Directory
from jwks_server.source.files import Fingerprint

OLD, NEW = key("P-256", 0), key("P-256", 1)


class Mapped:
    """A key file that is changed through memory: the second change leaves inode, size and all times as they are.

    The kernel sets a file's times at the first change of a page, and not at one that follows before the page is
    written to the disk. No event comes of either.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(public_pem(OLD))
        self._file = path.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), 0)
        self._memory[:] = public_pem(OLD)

    def change(self) -> None:
        """Put the other key in."""
        self._memory[:] = public_pem(NEW)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        self._file.close()


def published(directory: Directory) -> str:
    """Read the directory, and tell the thumbprint of its one key."""
    scan = directory.read()["/"]
    assert isinstance(scan, Observation)
    return scan.files["a.pem"].keys[0].thumbprint


def test_second_change_within_a_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed a moment ago is read again, since a second change may leave its times as they are."""
    path = tmp_path / "a.pem"
    file, directory = Mapped(path), Directory(tmp_path, ["*.pem"])
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + 1_000_000)
    assert published(directory) == thumbprint(OLD)
    before = path.stat()
    file.change()
    after = path.stat()
    assert (before.st_size, before.st_ino) == (after.st_size, after.st_ino)
    assert published(directory) == thumbprint(NEW)
    file.close()


async def test_sighup_reads_every_byte_again(tmp_path: Path) -> None:
    """After SIGHUP a change is seen that no event and no stat tells of."""
    file = Mapped(tmp_path / "a.pem")
    async with serving(tmp_path) as server:
        file.change()
        server.process.send_signal(signal.SIGHUP)
        await server.log("key-published", kid=thumbprint(NEW))
    file.close()


@pytest.mark.parametrize("field", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_fingerprint_is_that_of_a_file(tmp_path: Path, field: str) -> None:
    """A fingerprint is a file's exactly if the file's own would be equal, whatever differs."""
    path = tmp_path / "a"
    path.touch()
    status = path.stat()
    fingerprint = Fingerprint.of(status)
    assert fingerprint.is_of(status)
    names = ("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    other = SimpleNamespace(**{name: getattr(status, name) + (name == field) for name in names})
    assert not fingerprint.is_of(cast(os.stat_result, other))
