"""A directory that is swapped while it is read: what comes out is one version of it, whole."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import key, public_pem, thumbprint
from writers import AtomicWriter

from jwks_server.errors import DirectoryUnreadable
from jwks_server.keys.observation import Observation
from jwks_server.source.directory import Directory

KEYS = [key("P-256", number) for number in range(6)]
OLD = {f"{number}.pem": public_pem(KEYS[number]) for number in (0, 1, 2)}
NEW = {f"{number}.pem": public_pem(KEYS[number]) for number in (3, 4, 5)}


def thumbprints(directory: Path) -> set[str]:
    """Read the directory once."""
    scan = Directory(directory, ["*.pem"]).read()["/"]
    assert isinstance(scan, Observation)
    return {one.thumbprint for file in scan.files.values() for one in file.keys}


def amid_the_reading(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None], *, always: bool = False) -> None:
    """Let something happen when the first key file is opened, or whenever one is."""
    real, left = os.open, [happens]

    def opened(path: os.PathLike[str] | str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).endswith(".pem") and not flags & os.O_CREAT and left:
            happening = left[0] if always else left.pop()
            happening()
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize("links_first", [True, False])
def test_volume_swapped_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links_first: bool) -> None:
    """A Kubernetes volume that changes while it is read gives the new version whole, never a part of the old one."""
    writer = AtomicWriter(tmp_path, links_first=links_first)
    writer.write(OLD)
    amid_the_reading(monkeypatch, lambda: writer.write(NEW))
    assert thumbprints(tmp_path) == {thumbprint(one) for one in KEYS[3:]}


def test_directory_swapped_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that another one replaces while it is read gives the new one, never a part of the old one."""
    here, away, new = tmp_path / "keys", tmp_path / "away", tmp_path / "new"
    for folder, files in ((here, OLD), (new, NEW)):
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)

    def swap() -> None:
        here.rename(away)
        new.rename(here)
        for name in list(OLD)[1:]:
            (away / name).unlink()

    amid_the_reading(monkeypatch, swap)
    assert thumbprints(here) == {thumbprint(one) for one in KEYS[3:]}


def test_volume_that_never_holds_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume that changes during each reading is an error with a reason, never a partial set."""
    writer = AtomicWriter(tmp_path, links_first=True)
    writer.write(OLD)
    amid_the_reading(monkeypatch, lambda: writer.write(OLD), always=True)
    with pytest.raises(DirectoryUnreadable, match="during each read"):
        Directory(tmp_path, ["*.pem"]).read()
