"""Files that are replaced atomically."""

import os
from pathlib import Path

import pytest

from jwks_server import atomic


def test_replaces(tmp_path: Path) -> None:
    """A new file is made and an old one replaced; no draft is left."""
    atomic.write_all({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    atomic.write(tmp_path / "a", b"3")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"3", "b": b"2"}


def test_link(tmp_path: Path) -> None:
    """A link replaces a file or a link in one rename; one that is right already is left alone."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    for target in ("b", "c"):
        atomic.link(path, Path(target))
        assert str(path.readlink()) == target
        inode = path.lstat().st_ino
        atomic.link(path, Path(target))
        assert path.lstat().st_ino == inode
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_reader_keeps_the_old_file(tmp_path: Path) -> None:
    """Someone who has the old file open reads all of it: it is renamed over, not written into."""
    path = tmp_path / "a"
    atomic.write(path, b"old")
    with path.open("rb") as reader:
        atomic.write(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_no_file_is_replaced_before_all_drafts_are_written(tmp_path: Path) -> None:
    """If one draft can't be written, every old file is still there, and no draft is left."""
    atomic.write(tmp_path / "a", b"old")
    with pytest.raises(OSError, match="No such file"):
        atomic.write_all({tmp_path / "a": b"new", tmp_path / "missing" / "b": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_draft_of_an_interrupted_run(tmp_path: Path) -> None:
    """A draft that is left from before is replaced, and a link in its place is not followed."""
    (tmp_path / "elsewhere").write_bytes(b"kept")
    atomic.draft(tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    atomic.write(tmp_path / "a", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"new", "elsewhere": b"kept"}
    assert not (tmp_path / "a").is_symlink()


def test_everything_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draft is written to the disk before the rename, and the directory after it."""
    steps: list[tuple[str, object]] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append(("rename", target.name))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    atomic.write(tmp_path / "a", b"1")
    assert steps == [("sync", ".a.draft"), ("rename", "a"), ("sync", tmp_path.name)]
    steps.clear()
    atomic.make_folder(tmp_path / "b" / "c")
    assert steps == [("sync", tmp_path.name), ("sync", "b")]
    assert (tmp_path / "b" / "c").is_dir()
    atomic.make_folder(tmp_path / "b" / "c")


def test_a_file_where_a_folder_belongs(tmp_path: Path) -> None:
    """A folder can't take the place of a file."""
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(FileExistsError):
        atomic.make_folder(tmp_path / "a")
