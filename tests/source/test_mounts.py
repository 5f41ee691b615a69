"""The mounts that keep Kubernetes from updating a key."""

from pathlib import Path

import pytest

from jwks_server.source import mounts


def test_subpath_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is a mount of its own, and a directory bound to one version of a volume, are found."""
    keys = tmp_path / "key s"
    keys.mkdir()
    escaped = str(keys).replace(" ", "\\040")
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / /proc rw - proc proc rw\n"
        f"23 1 0:21 / {escaped} rw - tmpfs tmpfs rw\n"
        f"24 1 0:22 /..2026_11_24_08_00_00.1/tls.crt {escaped}/tls.crt rw - tmpfs tmpfs rw\n"
    )
    monkeypatch.setattr(mounts, "_MOUNTS", table)
    assert mounts.subpaths(keys, mounts.table()) == {"tls.crt"}
    table.write_text(f"24 1 0:22 /..2026_11_24_08_00_00.1/sub {escaped} rw - tmpfs tmpfs rw\n")
    assert mounts.subpaths(keys, mounts.table()) == {"."}
    table.unlink()
    assert mounts.subpaths(keys, mounts.table()) == frozenset()


def test_filesystem_of_a_directory() -> None:
    """It is that of the innermost mount, and of the last one at its point."""
    table = (
        mounts.Mount("/", "/", "ext4"),
        mounts.Mount("/", "/srv/keys", "nfs4"),
        mounts.Mount("/", "/srv/keys", "tmpfs"),
        mounts.Mount("/", "/srv", "xfs"),
    )
    assert [mounts.filesystem(path, table) for path in ("/", "/srv", "/srv/keys/acme", "/srv/keys2")] == [
        "ext4",
        "xfs",
        "tmpfs",
        "xfs",
    ]
    assert mounts.filesystem("/", ()) == ""
    assert mounts.filesystem("/proc", mounts.table()) == "proc"
