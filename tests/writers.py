"""Those who write key directories, each in its own order of system calls."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


class AtomicWriter:
    """kubelet's and the CSI driver's way to project a volume.

    The payload goes into a new folder, and a rename of ``..data`` makes it the current one. Older versions, the
    CSI driver's among them, make the links for new names before that rename, newer ones after it.

    Args:
        target: The volume's directory.
        links_first: Which of the two orders.
    """

    def __init__(self, target: Path, *, links_first: bool) -> None:
        self._target = target
        self._links_first = links_first
        self._version = 0

    def write(self, payload: Mapping[str, bytes]) -> None:
        """Replace the volume's files."""
        data = self._target / "..data"
        old = data.readlink() if data.is_symlink() else None
        obsolete = self._top(self._paths(old)) - self._top(payload) if old else set()
        self._version += 1
        new = self._target / f"..2026_11_24_08_00_00.{self._version:09}"
        new.mkdir()
        for path, content in payload.items():
            file = new / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o644)
        if self._links_first:
            self._link(payload)
        (self._target / "..data_tmp").symlink_to(new.name)
        (self._target / "..data_tmp").rename(data)
        if not self._links_first:
            self._link(payload)
        for name in obsolete:
            (self._target / name).unlink()
        if old:
            shutil.rmtree(self._target / old)

    def _paths(self, old: Path) -> list[str]:
        folder = self._target / old
        return [str(path.relative_to(folder)) for path in folder.rglob("*")]

    @staticmethod
    def _top(paths: Mapping[str, bytes] | list[str]) -> set[str]:
        return {path.partition("/")[0] for path in paths}

    def _link(self, payload: Mapping[str, bytes]) -> None:
        for name in self._top(payload):
            link = self._target / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")


def wait_for_tick(folder: Path) -> None:
    """Wait until the clock of a folder's filesystem has moved on since the folder was changed."""
    probe = folder.parent / f".{folder.name}.probe"
    probe.touch()
    while probe.stat().st_ctime_ns <= folder.stat().st_ctime_ns:
        probe.touch()
    probe.unlink()


def replace(path: Path, content: bytes, *, temporary: str) -> None:
    """Write a file under another name, then rename it: the way of most who are careful."""
    draft = path.with_name(temporary)
    draft.write_bytes(content)
    draft.rename(path)


def rsync(path: Path, content: bytes, mtime_ns: int) -> None:
    """Replace a file as rsync -t does: from a dot-file, with the source's modification time."""
    draft = path.with_name(f".{path.name}.x7Kq2P")
    draft.write_bytes(content)
    os.utime(draft, ns=(mtime_ns, mtime_ns))
    draft.rename(path)


def rsync_in_place(path: Path, content: bytes) -> None:
    """Overwrite a file as rsync --inplace -t does: the same inode, size and modification time."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def certbot(link: Path, target: Path) -> None:
    """Point a link to another file as certbot does: unlink, then link."""
    link.unlink()
    link.symlink_to(target)


def kubectl_cp(path: Path, content: bytes) -> None:
    """Replace a file as kubectl cp (tar) does: delete, then create."""
    path.unlink()
    path.write_bytes(content)
