"""An issuer's folder: what is wrong with the machine is not wrong with a file."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest
from support import key, public_pem, thumbprint

from jwks_server.errors import SourceError
from jwks_server.keys.observation import Observation
from jwks_server.source.directory import Directory


def test_no_descriptor_left_is_no_bad_file(tmp_path: Path) -> None:
    """However few descriptors the process has left, no known key is lost: the directory is at fault, not its file."""
    path = tmp_path / "a.pem"
    path.write_bytes(public_pem(key("P-256")))
    directory = Directory(tmp_path, ["*.pem"])
    directory.read()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    following = os.dup(0)
    os.close(following)
    outcomes = []
    for spare in range(12):
        os.utime(path, (spare, spare))  # so that the file is read again
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (following + spare, hard))
            seen = directory.read()["/"]
        except SourceError as error:
            outcomes.append(error.code)
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(seen, Observation)
        assert seen.files["a.pem"].error is None
        assert seen.files["a.pem"].keys[0].thumbprint == thumbprint(key("P-256"))
        outcomes.append("read")
    assert {outcomes[0], outcomes[-1]} == {"directory-unreadable", "read"}


def test_a_named_file_is_the_only_one_that_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hint costs its file and jwks.toml, whatever else is in the folder; the others are as they were."""
    for number in range(3):
        (tmp_path / f"{number}.pem").write_bytes(public_pem(key("P-256", number)))
    directory = Directory(tmp_path, ["*.pem"])
    first = directory.read()["/"]
    assert isinstance(first, Observation)
    (tmp_path / "0.pem").write_bytes(public_pem(key("P-384")))
    (tmp_path / "1.pem").write_bytes(public_pem(key("P-384", 1)))
    (tmp_path / "3.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "2.pem").unlink()
    (tmp_path / "jwks.toml").write_bytes(b"max_age = 7")
    looked_at: set[object] = set()
    stat = os.stat

    def record(path: Any, **named: Any) -> os.stat_result:
        looked_at.add(path)
        return stat(path, **named)

    monkeypatch.setattr(os, "stat", record)
    found = directory.read({"/": {"0.pem", "2.pem", "3.pem", "other.txt"}}, everything=False)
    monkeypatch.undo()
    seen = found["/"]
    assert isinstance(seen, Observation)
    assert looked_at == {tmp_path, "0.pem", "2.pem", "3.pem", "jwks.toml"}
    assert list(seen.files) == ["0.pem", "1.pem", "3.pem"]
    assert [one.keys[0].kind.name for one in seen.files.values()] == ["P-384", "P-256", "RSA"]
    assert seen.files["1.pem"] is first.files["1.pem"]
    assert seen.policy == b"max_age = 7"
    assert directory.read()["/"].files["1.pem"].keys[0].kind.name == "P-384"  # type: ignore[union-attr]


def test_another_folder_at_the_place_is_read_whole(tmp_path: Path) -> None:
    """A hint about one file is no reason to believe in the others when the directory was swapped."""
    for name in ("keys", "next"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.pem").write_bytes(public_pem(key("P-256")))
    directory = Directory(tmp_path / "keys", ["*.pem"])
    directory.read()
    (tmp_path / "keys").rename(tmp_path / "last")
    (tmp_path / "next").rename(tmp_path / "keys")
    seen = directory.read({"/": {"other.pem"}}, everything=False)["/"]
    assert isinstance(seen, Observation)
    assert list(seen.files) == ["next.pem"]
