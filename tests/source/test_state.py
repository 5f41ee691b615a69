"""What outlives a restart."""

import json
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import build, key, public_pem, serving, thumbprint

from jwks_server.errors import StateDamaged, StateLocked, StateNewer, StateUnusable
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
    "text",
    ['{"version": 2, "issuers": []}', '{"version": 2, "issuers": {"/": 5}}', '{"version": 0}', '{"version": "9"}'],
)
def test_damaged(tmp_path: Path, text: str) -> None:
    """What no version writes is set aside."""
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateDamaged):
        StateFile(path).load()
    assert path.with_name("state.json.damaged").read_text() == text


@pytest.mark.parametrize("time", ["1e308", "NaN", "Infinity", "-Infinity", "-1", "1e999", "true", '"5"', "9" * 5000])
@pytest.mark.parametrize("member", ["first_published", "retiring_since", "not_after"])
def test_time_that_can_not_be(tmp_path: Path, time: str, member: str) -> None:
    """A file with a time that no server writes is set aside as damaged."""
    path = tmp_path / "state.json"
    StateFile(path).save({"/": keyset()})
    document = json.loads(path.read_bytes())
    document["issuers"]["/"][0][member] = "HERE"
    text = json.dumps(document).replace('"HERE"', time)
    path.write_text(text)
    with pytest.raises(StateDamaged):
        StateFile(path).load()
    assert path.with_name("state.json.damaged").read_text() == text


@pytest.mark.parametrize("set_aside", [True, False])
def test_newer_version_is_left_as_it_is(tmp_path: Path, *, set_aside: bool) -> None:
    """A file of a newer version is refused, never renamed and never overwritten."""
    path = tmp_path / "state.json"
    path.write_text('{"version": 99, "new": {}}')
    state = StateFile(path)
    with pytest.raises(StateNewer, match="99"):
        state.load(set_aside=set_aside)
    for _ in range(2):
        with pytest.raises(StateNewer):
            state.save({"/": keyset()})
    assert path.read_text() == '{"version": 99, "new": {}}'
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    path.unlink()
    state.save({"/": keyset()})
    assert StateFile(path).load().keys() == {"/"}


def test_newer_version_that_came_after_the_start(tmp_path: Path) -> None:
    """A file that a newer version wrote since it was read is not overwritten either."""
    path = tmp_path / "state.json"
    state = StateFile(path)
    assert state.load() == {}
    path.write_text('{"version": 99}')
    with pytest.raises(StateNewer):
        state.save({"/": keyset()})
    assert path.read_text() == '{"version": 99}'


def test_one_writer(tmp_path: Path) -> None:
    """A second server reads the file and leaves the writing to the first, until that one ends."""
    path = tmp_path / "state.json"
    first, second = StateFile(path), StateFile(path)
    first.save({"/": keyset()})
    written = path.read_bytes()
    assert second.load().keys() == {"/"}
    with pytest.raises(StateLocked):
        second.save({"/": keyset(number=1)})
    assert path.read_bytes() == written
    first.close()
    second.save({"/": keyset(number=1)})
    assert second.load()["/"].keys[0].kid == keyset(number=1).keys[0].kid
    with pytest.raises(StateLocked):
        first.save({"/": keyset(number=2)})


def write_many(path: Path, number: int) -> None:
    """Write the file again and again with one of several sets, unless another one has it."""
    for turn in range(40):
        state = StateFile(path)
        try:
            state.save({f"/{number}-{nth}": keyset(number=turn % 4) for nth in range(20)})
        except StateLocked:
            continue
        finally:
            state.close()


@pytest.mark.parametrize("locks", [True, False])
def test_two_writers_tear_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, locks: bool) -> None:
    """Whatever two servers write at once, a reader finds the whole file of one; also where there are no locks."""
    if not locks:
        monkeypatch.setattr("jwks_server.source.owned.fcntl.flock", no_locks)
    path = tmp_path / "state.json"
    StateFile(path).save({"/": keyset()})
    kids = {keyset(number=number).keys[0].kid for number in range(4)}
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write_many, path, number) for number in range(2)]
        while not all(writer.done() for writer in writers):
            loaded = StateFile(path).load(set_aside=False)
            assert loaded.keys() == {"/"} or len({name.partition("-")[0] for name in loaded}) == 1
            assert {one.keys[0].kid for one in loaded.values()} <= kids
    assert [writer.exception() for writer in writers] == [None, None]
    assert {one.name for one in tmp_path.iterdir()} == {"state.json", ".state.json.lock"}


def no_locks(_descriptor: int, _operation: int) -> None:
    """Say what a filesystem without locks says."""
    raise OSError(95, "Operation not supported")


def test_drafts_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    """A draft that a killed process left is removed by the next one; files of other names stay."""
    for name in (".state.json.0a1b2c3d.draft", ".state.json.draft", ".other.0a1b2c3d.draft"):
        (tmp_path / name).touch()
    StateFile(tmp_path / "state.json").save({"/": keyset()})
    assert {one.name for one in tmp_path.iterdir()} == {"state.json", ".state.json.lock", ".other.0a1b2c3d.draft"}


def test_link_is_followed(tmp_path: Path) -> None:
    """Where the path is a link, its target is read, written, locked and set aside; the link stays."""
    target, link = tmp_path / "disk" / "real.json", tmp_path / "state.json"
    target.parent.mkdir()
    link.symlink_to(target)
    StateFile(link).save({"/": keyset()})
    assert link.is_symlink()
    assert StateFile(target).load().keys() == StateFile(link).load().keys() == {"/"}
    first, second = StateFile(link), StateFile(target)
    first.save({"/": keyset()})
    with pytest.raises(StateLocked):
        second.save({"/": keyset(number=1)})
    target.write_bytes(b"nonsense")
    with pytest.raises(StateDamaged):
        StateFile(link).load()
    assert link.is_symlink()
    assert target.with_name("real.json.damaged").read_bytes() == b"nonsense"


def make_unusable(path: Path, kind: str) -> None:
    """Put something at a path that is not a state file."""
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "file-in-the-way":
            path.parent.rmdir()
            path.parent.touch()
        case device:
            path.symlink_to(device)


@pytest.mark.parametrize("kind", ["fifo", "loop", "file-in-the-way", "/dev/full", "/dev/zero", "/proc/self/mem"])
async def test_unusable_state_file(tmp_path: Path, kind: str) -> None:
    """Whatever the path of the state file is, serving goes on, the fault is told, and nothing there is replaced."""
    keys, path = tmp_path / "keys", tmp_path / "state" / "state.json"
    keys.mkdir()
    path.parent.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("P-256")))
    make_unusable(path, kind)
    async with serving(keys, "--state", str(path)) as server:
        if "reload-failed" not in {one["event"] for one in server.logs}:  # the state is written beside the answers
            await server.log("reload-failed", code="state-unusable")
        assert [one["code"] for one in server.logs if one["event"] == "reload-failed"] == ["state-unusable"]
        (keys / "b.pem").write_bytes(public_pem(key("P-256", 1)))
        await server.log("key-published", kid=thumbprint(key("P-256", 1)))
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
    if kind.startswith("/dev"):
        assert stat.S_ISCHR(Path(kind).stat().st_mode)
    assert not [one for one in path.parent.parent.rglob("*") if one.name.endswith((".damaged", ".draft"))]


def test_directory_in_place_of_the_file(tmp_path: Path) -> None:
    """A directory at the path is neither read nor replaced."""
    (tmp_path / "state.json").mkdir()
    state = StateFile(tmp_path / "state.json")
    with pytest.raises(StateUnusable, match="directory"):
        state.load()
    with pytest.raises(StateUnusable):
        state.save({"/": keyset()})
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]


def test_unreadable_file_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be read now is still there when it can be read again."""
    path = tmp_path / "state.json"
    StateFile(path).save({"/": keyset()})
    written, state = path.read_bytes(), StateFile(path)
    with monkeypatch.context() as patch:
        patch.setattr("jwks_server.source.owned.os.open", refused)  # root may read every file
        with pytest.raises(StateUnusable, match="restart"):
            state.load()
    with pytest.raises(StateUnusable):
        state.save({"/": keyset(number=1)})
    assert path.read_bytes() == written


def refused(*_arguments: object, **_more: object) -> int:
    """Say what the system says to a user who may not read a file."""
    raise PermissionError(13, "Permission denied")


def test_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut the file is either the old or the new one: it is synced before its rename, the rename after."""
    steps: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix or "folder")
        sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append(f"to {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    StateFile(tmp_path / "state.json").save({"/": keyset()})
    assert steps == [".draft", "to state.json", "folder"]


async def test_second_server_with_one_state_file(tmp_path: Path) -> None:
    """The second server says that the file is another's and serves; it takes the file over when the first one ends."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("P-256")))
    async with (
        serving(keys, "--state", str(state)) as first,
        serving(keys, "--state", str(state), "--rescan", "0.05") as second,
    ):
        if "reload-failed" not in {one["event"] for one in second.logs}:  # the state is written beside the answers
            await second.log("reload-failed", code="state-locked")
        assert [one["code"] for one in second.logs if one["event"] == "reload-failed"] == ["state-locked"]
        before = state.read_bytes()
        state.write_bytes(b"{}")
        first.process.send_signal(signal.SIGTERM)
        assert await first.end() == 0
        await second.log("reload-recovered", code="state-locked")
        assert state.read_bytes() == before
