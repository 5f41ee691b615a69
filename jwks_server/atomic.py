"""Files that are replaced atomically: a reader, or a crash, finds either the old contents or the new ones."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TypeVar

P = TypeVar("P", bound=PurePath)


def draft(path: P) -> P:
    """Name the file that is written before it is renamed to a path; it is in the same directory."""
    return path.with_name(f".{path.name}.draft")


def write(path: Path, data: bytes) -> None:
    """Replace one file, as ``write_all`` does.

    Raises:
        OSError: The file can't be written; the old one is still there.
    """
    write_all({path: data})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Replace files, each in one rename. No file is replaced before all drafts are on the disk.

    Raises:
        OSError: A file can't be written. If a draft can't be written, all old files are still there.
    """
    drafts = {path: draft(path) for path in contents}
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
