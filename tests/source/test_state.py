"""What outlives a restart."""

import json
from pathlib import Path

import pytest
from support import build, key, public_pem

from jwks_server.errors import StateDamaged
from jwks_server.keys.keyset import KeySet, read_file
from jwks_server.keys.policy import Policy
from jwks_server.source.state import StateFile


def keyset(name: str = "a.pem", number: int = 0) -> KeySet:
    """Build a set of one key."""
    return build([read_file(name, public_pem(key("P-256", number)), None)], Policy(), None, 5.0)


def test_each_issuer_comes_back(tmp_path: Path) -> None:
    """What was saved is loaded again, whatever bytes are in a file's name."""
    sets = {"/": keyset(), "/acme": keyset("\udcff.pem", 1), "/none": KeySet((), Policy())}
    state = StateFile(tmp_path / "state.json")
    state.save(sets)
    loaded = StateFile(tmp_path / "state.json").load()
    assert {
        path: [(one.kid, one.file, one.first_published) for one in found.keys] for path, found in loaded.items()
    } == {path: [(one.kid, one.file, one.first_published) for one in found.keys] for path, found in sets.items()}


def test_a_change_of_one_issuer(tmp_path: Path) -> None:
    """A later save replaces what changed and drops what is gone."""
    state = StateFile(tmp_path / "state.json")
    state.save({"/a": keyset(), "/b": keyset(), "/c": keyset()})
    state.save({"/a": keyset(), "/b": keyset(number=1)})
    loaded = state.load()
    assert loaded.keys() == {"/a", "/b"}
    assert loaded["/b"].keys[0].kid == keyset(number=1).keys[0].kid


def test_version_1(tmp_path: Path) -> None:
    """A file from before there were issuers holds the directory's own keys."""
    path = tmp_path / "state.json"
    StateFile(path).save({"/": keyset()})
    path.write_text(json.dumps({"version": 1, "keys": json.loads(path.read_bytes())["issuers"]["/"]}))
    loaded = StateFile(path).load()
    assert loaded.keys() == {"/"}
    assert loaded["/"].keys[0].kid == keyset().keys[0].kid


@pytest.mark.parametrize(
    "text", ['{"version": 2, "issuers": []}', '{"version": 2, "issuers": {"/": 5}}', '{"version": 3}']
)
def test_damaged(tmp_path: Path, text: str) -> None:
    """What no version writes is set aside."""
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateDamaged):
        StateFile(path).load()
    assert path.with_name("state.json.damaged").read_text() == text
