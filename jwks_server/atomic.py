"""Files that are replaced atomically: a reader, or a crash, finds either the old contents or the new ones."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TypeVar

P = TypeVar("P", bound=PurePath)


def draft(path: P, token: str = "") -> P:
    """Name the file that is written before it is renamed to a path; it is in the same directory.

    Args:
        path: The file that will be replaced.
        token: What makes the name unique, if other processes may write the same file.
    """
    return path.with_name(f".{path.name}.{token}.draft" if token else f".{path.name}.draft")


def write(path: Path, data: bytes, *, unique: bool = False) -> None:
    """Replace one file, as ``write_all`` does.

    Raises:
        OSError: The file can't be written; the old one is still there.
    """
    write_all({path: data}, unique=unique)


def write_all(contents: Mapping[Path, bytes], *, unique: bool = False) -> None:
    """Replace files, each in one rename. No file is replaced before all drafts are on the disk.

    Args:
        contents: What to write, by path.
        unique: Whether the drafts have names that no other process uses.

    Raises:
        OSError: A file can't be written. If a draft can't be written, all old files are still there.
    """
    token = secrets.token_hex(4) if unique else ""
    drafts = {path: draft(path, token) for path in contents}
    try:
        for path, data in contents.items():
            _write_new(drafts[path], data)
        for path, written in drafts.items():
            written.replace(path)
    finally:
        for written in drafts.values():
            with suppress(OSError):
                written.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        _sync_directory(folder)


def link(path: Path, target: PurePath) -> None:
    """Make a path a symbolic link in one rename; one with this target is left as it is.

    Raises:
        OSError: The link can't be made; what was there is still there.
    """
    if path.is_symlink() and path.readlink() == Path(target):
        return
    made = draft(path)
    made.unlink(missing_ok=True)  # a run that was interrupted may have left it
    made.symlink_to(target)
    made.replace(path)
    _sync_directory(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, so that they are still there after a crash.

    Raises:
        OSError: A folder can't be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_directory(path.parent)


def _write_new(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # a run that was interrupted may have left it
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    """Write a directory to the disk; until then, a crash can undo a rename in it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
