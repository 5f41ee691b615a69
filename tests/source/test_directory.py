"""A directory's path -> what each of its key files holds."""

import fnmatch
import json
import os
import shutil
import socket
import string
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import writers
from hypothesis import given
from hypothesis import strategies as st
from support import PASSPHRASE, key, private_pem, public_pem

from jwks_server import errors
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.observation import Observation
from jwks_server.source import folder as reading
from jwks_server.source.directory import Directory
from jwks_server.source.files import MAX_FILE_BYTES, MAX_POLICY_BYTES

PATTERNS = ("*.pem", "tls.crt")


def read(path: Path) -> dict[str, KeyFile]:
    """Read a directory once."""
    return {file.name: file for file in files(Directory(path, PATTERNS))}


def files(directory: Directory) -> list[KeyFile]:
    """Read a directory once more."""
    return list(scan(directory).files.values())


def scan(directory: Directory, issuer: str = "/") -> Observation:
    """Read a directory; give what it says of one issuer."""
    seen = directory.read()[issuer]
    assert isinstance(seen, Observation)
    return seen


def test_patterns_and_dots(tmp_path: Path) -> None:
    """Names that match a pattern are read, in order; names with a leading dot never."""
    for name in ("b.pem", "a.pem", "tls.crt", "tls.key", ".hidden.pem", "a.PEM", "notes.txt", "c.pem~", "d.pem.swp"):
        (tmp_path / name).write_bytes(public_pem(key("P-256")))
    assert list(read(tmp_path)) == ["a.pem", "b.pem", "tls.crt"]


def test_what_is_no_regular_file_is_refused_unopened(tmp_path: Path) -> None:
    """A FIFO, a socket, a directory and a device under a key's name are refused and never opened."""
    os.mkfifo(tmp_path / "fifo.pem")
    (tmp_path / "directory.pem").mkdir()
    (tmp_path / "device.pem").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket.pem"))
        found = read(tmp_path)
    assert {type(file.error) for file in found.values()} == {errors.FileNotRegular}
    assert len(found) == 4


def test_links(tmp_path: Path) -> None:
    """Links are followed, out of the directory too; a link to nowhere and a loop are refused."""
    outside = tmp_path / "outside"
    outside.write_bytes(public_pem(key("P-256")))
    inside = tmp_path / "keys"
    inside.mkdir()
    (inside / "good.pem").symlink_to(outside)
    (inside / "dangling.pem").symlink_to("nowhere")
    (inside / "loop.pem").symlink_to("loop.pem")
    (inside / "through.pem").symlink_to(outside / "x")
    (inside / "io.pem").symlink_to("/proc/self/mem")
    found = read(inside)
    assert isinstance(found["through.pem"].error, errors.FileUnreadable)
    assert isinstance(found["io.pem"].error, errors.FileUnreadable)
    assert len(found["good.pem"].keys) == 1
    assert isinstance(found["dangling.pem"].error, errors.FileUnreadable)
    assert isinstance(found["loop.pem"].error, errors.FileUnreadable)


@pytest.mark.parametrize(("size", "accepted"), [(MAX_FILE_BYTES, True), (MAX_FILE_BYTES + 1, False)])
def test_size_limit(tmp_path: Path, size: int, *, accepted: bool) -> None:
    """A file of 64 KiB is read, a larger one refused."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")).ljust(size, b"\n"))
    error = read(tmp_path)["a.pem"].error
    assert (error is None) if accepted else isinstance(error, errors.FileTooLarge)


def test_large_json(tmp_path: Path) -> None:
    """A JWK Set over 64 KiB is refused by its size; other JSON of any size, such as a state file, is no key file."""
    other = {"version": 2, "issuers": {"/": [{"jwk": {"kty": "EC", "keys": []}}] * 5000}}
    for name, document in (("state.json", other), ("a.json", {"more": 1, "keys": [{}] * 50_000}), ("a.jwk", other)):
        (tmp_path / name).write_text(json.dumps(document))
    found = Directory(tmp_path, ["*.json", "*.jwk"]).read()["/"]
    assert isinstance(found, Observation)
    assert {name: (type(file.error), file.ignored) for name, file in found.files.items()} == {
        "a.json": (errors.FileTooLarge, False),
        "a.jwk": (errors.FileTooLarge, False),
        "state.json": (errors.JwkMissing, True),
    }


def test_kubernetes_volume_is_read_through_its_data_link(tmp_path: Path) -> None:
    """Inside ..data the truth stands; links beside it may be late, orphaned directories are never walked."""
    for name, kind in (("..2026_11_24_1", "P-256"), ("..2026_11_24_0", "P-384")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "new.pem").write_bytes(public_pem(key(kind)))
    (tmp_path / "..data").symlink_to("..2026_11_24_1")
    (tmp_path / "old.pem").symlink_to("..data/old.pem")
    found = read(tmp_path)
    assert list(found) == ["new.pem"]
    assert found["new.pem"].keys[0].kind.name == "P-256"


def test_directory_named_like_the_data_link(tmp_path: Path) -> None:
    """A directory (not a link) called ..data is no Kubernetes volume."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    assert list(read(tmp_path)) == ["a.pem"]


def test_missing_directory(tmp_path: Path) -> None:
    """No directory is an error, never an empty set."""
    with pytest.raises(errors.DirectoryMissing, match=str(tmp_path / "none")):
        read(tmp_path / "none")


def test_file_in_place_of_the_directory(tmp_path: Path) -> None:
    """Nor is a file at its path."""
    (tmp_path / "file").touch()
    with pytest.raises(errors.DirectoryUnreadable):
        read(tmp_path / "file")


def test_only_changed_bytes_are_parsed_again(tmp_path: Path) -> None:
    """An unchanged file gives the same object again, even when it was replaced by an equal one."""
    path = tmp_path / "a.pem"
    path.write_bytes(public_pem(key("P-256")))
    directory = Directory(tmp_path, PATTERNS)
    (first,) = files(directory)
    assert files(directory)[0] is first
    (tmp_path / "copy").write_bytes(path.read_bytes())
    (tmp_path / "copy").rename(path)
    assert files(directory)[0] is first
    path.write_bytes(public_pem(key("P-384")))
    assert files(directory)[0].keys[0].kind.name == "P-384"


def test_change_that_keeps_size_and_mtime(tmp_path: Path) -> None:
    """A write in place that keeps size and modification time is seen."""
    path = tmp_path / "a.pem"
    path.write_bytes(public_pem(key("P-256")))
    status = path.stat()
    directory = Directory(tmp_path, PATTERNS)
    before = files(directory)[0].keys[0].thumbprint
    with path.open("r+b") as file:
        file.write(public_pem(key("P-256", 1)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert files(directory)[0].keys[0].thumbprint != before


def test_passphrase_file_is_read_anew(tmp_path: Path) -> None:
    """An encrypted key opens as soon as the passphrase file is right; a line end in it doesn't count."""
    passphrase, keys = tmp_path / "passphrase", tmp_path / "keys"
    keys.mkdir()
    (keys / "a.pem").write_bytes(private_pem(key("P-256"), encrypted=True))
    directory = Directory(keys, PATTERNS, passphrase_file=passphrase)
    assert isinstance(files(directory)[0].error, errors.PassphraseMissing)
    passphrase.write_bytes(b"wrong")
    assert isinstance(files(directory)[0].error, errors.PassphraseWrong)
    passphrase.write_bytes(PASSPHRASE + b"\r\n")
    assert len(files(directory)[0].keys) == 1
    passphrase.unlink()
    directory.forget()
    assert len(files(directory)[0].keys) == 1


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Any bytes may be in a name, line breaks and non-UTF-8 included."""
    for name in (b"\xff\xfe.pem", b"line\nbreak.pem", b"sp ace.pem"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(public_pem(key("P-256")))
    assert sorted(os.fsencode(name) for name in read(tmp_path)) == [b"line\nbreak.pem", b"sp ace.pem", b"\xff\xfe.pem"]


def test_nested_items_of_a_volume(tmp_path: Path) -> None:
    """In a volume, keys in a folder's folders are the folder's, under their path; in a flat directory no one's."""
    deep = tmp_path / "..1" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "deep.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "..1" / "a" / "tls.crt").write_bytes(public_pem(key("P-384")))
    assert list(scan(Directory(tmp_path / "..1", PATTERNS), "/a").files) == ["tls.crt"]
    (tmp_path / "..data").symlink_to("..1")
    volume = Directory(tmp_path, PATTERNS)
    assert list(scan(volume, "/a").files) == ["b/deep.pem", "tls.crt"]
    assert not scan(volume).files


def test_folders_are_issuers(tmp_path: Path) -> None:
    """Each folder, or link to one, is an issuer of its own; what has no key file or jwks.toml is empty."""
    outside = tmp_path / "outside"
    inside = tmp_path / "keys"
    for folder in (outside, inside / "acme", inside / "policy", inside / "none", inside / ".hidden", inside / "x.pem"):
        folder.mkdir(parents=True)
        if folder.name not in {"policy", "none"}:
            (folder / "a.pem").write_bytes(public_pem(key("P-256")))
    (inside / "policy" / "jwks.toml").write_bytes(b"retain = 5")
    (inside / "none" / "notes.txt").touch()
    (inside / "linked").symlink_to(outside)
    (inside / "loop").symlink_to("loop")
    (inside / "dangling").symlink_to("nowhere")
    (inside / "notes.txt").symlink_to(inside / "none" / "notes.txt")
    directory = Directory(inside, PATTERNS)
    seen = {path: found for path, found in directory.read().items() if isinstance(found, Observation)}
    assert set(seen) == {"/", "/acme", "/policy", "/none", "/linked"}
    assert {path for path, found in seen.items() if found.empty} == {"/none"}
    assert list(seen["/acme"].files) == list(seen["/linked"].files) == ["a.pem"]
    assert isinstance(seen["/"].files["x.pem"].error, errors.FileNotRegular)
    assert seen["/policy"].policy == b"retain = 5"
    assert directory.folder("/acme") == inside / "acme"


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    """A look at one issuer reads no other; one at the directory itself finds new folders, and reads no known one."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_bytes(public_pem(key("P-256")))
    directory = Directory(tmp_path, PATTERNS)
    assert set(directory.read({"/a": None}, everything=False)) == {"/", "/a", "/b"}  # the first look is at everything
    assert set(directory.read({"/a": None}, everything=False)) == {"/a"}
    (tmp_path / "c").mkdir()
    assert set(directory.read({"/a": None}, everything=False)) == {"/a"}
    assert set(directory.read({"/": None}, everything=False)) == {"/", "/c"}
    assert set(directory.read()) == {"/", "/a", "/b", "/c"}


@pytest.mark.usefixtures("busy")
def test_folder_that_is_gone(tmp_path: Path) -> None:
    """A folder that was removed is said to be, once; a link that leads nowhere any more is a fault."""
    acme, target, link = tmp_path / "acme", tmp_path.parent / f"{tmp_path.name}-target", tmp_path / "link"
    for folder in (acme, target):
        folder.mkdir()
        (folder / "a.pem").write_bytes(public_pem(key("P-256")))
    link.symlink_to(target)
    directory = Directory(tmp_path, PATTERNS)
    assert scan(directory, "/link").there
    shutil.rmtree(acme)
    target.rename(tmp_path.parent / f"{tmp_path.name}-away")
    seen = directory.read()
    assert isinstance(seen["/link"], errors.DirectoryUnreadable)
    assert seen["/acme"] == Observation.nothing(whole=False, unsettled=True)
    assert "/acme" not in directory.read()
    link.unlink()
    link.symlink_to("link")
    assert isinstance(directory.read()["/link"], errors.DirectoryUnreadable)


def test_volume_inside_the_directory(tmp_path: Path) -> None:
    """A folder with a data link of its own is read through it, whatever the links beside it say."""
    for holder in (tmp_path / "flat", tmp_path / "volume"):
        (holder / "acme" / "..1" / "deep").mkdir(parents=True)
        (holder / "acme" / "..1" / "new.pem").write_bytes(public_pem(key("P-256")))
        (holder / "acme" / "..1" / "deep" / "x.pem").write_bytes(public_pem(key("P-384")))
        (holder / "acme" / "..data").symlink_to("..1")
        (holder / "acme" / "old.pem").symlink_to("..data/old.pem")
    data = tmp_path / "volume" / "..2026"
    (data / "items").mkdir(parents=True)
    (data / "items" / "b.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "volume" / "..data").symlink_to("..2026")
    (tmp_path / "volume" / "items").symlink_to("..data/items")
    for name in ("flat", "volume"):
        directory = Directory(tmp_path / name, PATTERNS)
        for _ in range(2):
            found = scan(directory, "/acme")
            assert (list(found.files), found.whole) == (["deep/x.pem", "new.pem"], True)
    assert list(scan(directory, "/items").files) == ["b.pem"]
    assert scan(directory, "/items").whole


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every change count as one of the last 100 ms, however slow this machine is."""
    monkeypatch.setattr(reading, "QUIET_NS", 3600 * 10**9)


def filled(path: Path, *names: str) -> Path:
    """Make a folder with key files."""
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_bytes(public_pem(key("P-256")))
    return path


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("place", ["disk", "memory"])
@pytest.mark.parametrize("issuer", ["/", "/acme"])
def test_only_a_rename_or_a_link_is_a_whole_swap(tmp_path: Path, memory: Path, place: str, issuer: str) -> None:
    """A folder that was deleted, made again and is being filled changes file by file; one put in its place is whole."""
    top = (memory if place == "memory" else tmp_path) / "keys"
    here = filled(top / issuer.strip("/"), "a.pem", "b.pem")
    other = top.parent / "other"
    directory = Directory(top, PATTERNS)
    assert [scan(directory, issuer).whole for _ in range(2)] == [False, False]
    for _ in range(20):  # some filesystems use an inode number again
        shutil.rmtree(here)
        filled(here, "a.pem")
        seen = scan(directory, issuer)
        assert (list(seen.files), seen.whole, seen.unsettled) == (["a.pem"], False, True)
        filled(here, "b.pem")
        assert not scan(directory, issuer).whole
    filled(other, "c.pem")
    writers.wait_for_tick(other)
    here.rename(top.parent / "old")
    other.rename(here)
    assert [scan(directory, issuer).whole for _ in range(2)] == [True, False]
    filled(other, "d.pem")
    shutil.rmtree(here)
    here.symlink_to(other)
    assert [scan(directory, issuer).whole for _ in range(2)] == [True, False]
    filled(top.parent / "third", "e.pem")
    (top.parent / "link").symlink_to(top.parent / "third")
    (top.parent / "link").rename(here)
    assert [scan(directory, issuer).whole for _ in range(2)] == [True, False]


@pytest.mark.usefixtures("busy")
def test_folder_that_is_gone_meanwhile_is_not_whole_when_it_is_made_again(tmp_path: Path) -> None:
    """A look between the deletion and the copy changes nothing: the copy is not whole."""
    filled(tmp_path / "acme", "a.pem", "b.pem")
    directory = Directory(tmp_path, PATTERNS)
    assert scan(directory, "/acme").there
    shutil.rmtree(tmp_path / "acme")
    seen = scan(directory, "/acme")
    assert (seen.there, seen.whole, seen.unsettled) == (False, False, True)
    filled(tmp_path / "acme", "a.pem")
    seen = scan(directory, "/acme")
    assert (seen.there, seen.whole, seen.unsettled) == (True, False, True)


def test_directory_that_is_swapped_takes_its_issuers_along(tmp_path: Path) -> None:
    """Where the directory itself is swapped, each folder in it is whole."""
    filled(tmp_path / "one" / "acme", "a.pem")
    filled(tmp_path / "two" / "acme", "b.pem")
    link = tmp_path / "keys"
    link.symlink_to("one")
    directory = Directory(link, PATTERNS)
    assert not scan(directory, "/acme").whole
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(link)
    seen = scan(directory, "/acme")
    assert (list(seen.files), seen.whole, seen.unsettled) == (["b.pem"], True, False)


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("what", ["key", "policy", "new", "gone"])
def test_folder_that_moves_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """What was read is looked at again, so that two moments are never mixed."""
    for number in range(3):
        (tmp_path / f"{number}.pem").write_bytes(public_pem(key("P-256", number)))
    (tmp_path / "jwks.toml").touch()
    real, left = vars(reading)["contents"], [True]

    def contents(name: str, *more: Any) -> bytes:
        data: bytes = real(name, *more)
        if left and name == "jwks.toml":  # it is read after the keys
            left.pop()
            match what:
                case "key":
                    (tmp_path / "0.pem").write_bytes(public_pem(key("P-384")))
                case "policy":
                    (tmp_path / "jwks.toml").write_bytes(b"max_age = 7")
                case "new":
                    (tmp_path / "3.pem").write_bytes(public_pem(key("P-256", 3)))
                case _:
                    (tmp_path / "0.pem").unlink()
        return data

    monkeypatch.setattr(reading, "contents", contents)
    seen = scan(Directory(tmp_path, PATTERNS))
    assert not left
    assert seen.unsettled
    assert list(seen.files) == sorted(path.name for path in tmp_path.glob("*.pem"))
    assert seen.policy == (tmp_path / "jwks.toml").read_bytes()
    assert all(
        seen.files[path.name].keys[0].thumbprint == read_file("x", path.read_bytes(), None).keys[0].thumbprint
        for path in tmp_path.glob("*.pem")
    )


def test_folder_that_never_stops_moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that moves during each look is read a few times, and said to be unsettled."""
    filled(tmp_path, "a.pem")
    real, turns = vars(reading)["contents"], list[str]()

    def contents(name: str, *more: Any) -> bytes:
        data: bytes = real(name, *more)
        turns.append(name)
        (tmp_path / f"{len(turns)}.pem").write_bytes(public_pem(key("P-256")))
        return data

    monkeypatch.setattr(reading, "contents", contents)
    monkeypatch.setattr(reading, "QUIET_NS", 0)
    assert scan(Directory(tmp_path, PATTERNS)).unsettled
    assert len(turns) < 50


def test_folder_has_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is unsettled for 100 ms after each change in it: of a key, of the policy, or of its names."""
    filled(tmp_path, "a.pem", "b.pem")
    (tmp_path / "jwks.toml").touch()
    directory = Directory(tmp_path, PATTERNS)

    def at(milliseconds: int) -> bool:
        newest = max(path.stat().st_ctime_ns for path in (tmp_path, *tmp_path.iterdir()))
        monkeypatch.setattr(time, "time_ns", lambda: newest + milliseconds * 1_000_000)
        return scan(directory).unsettled

    for change in (
        lambda: None,
        lambda: (tmp_path / "a.pem").write_bytes(public_pem(key("P-384"))),
        lambda: (tmp_path / "jwks.toml").write_bytes(b"max_age = 7"),
        (tmp_path / "b.pem").unlink,
    ):
        change()
        assert [at(one) for one in (0, 99, 101, 1000, 99)] == [True, True, False, False, True]


def test_idle_look_is_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that finds nothing new opens no file and lists each folder once for its keys, however many there are."""
    for number in range(100):
        filled(tmp_path / f"issuer-{number}", "a.pem", "b.pem")
    directory = Directory(tmp_path, PATTERNS)
    directory.read()
    later = time.time_ns() + 10**10
    monkeypatch.setattr(time, "time_ns", lambda: later)
    directory.read()  # what was read a moment after it was written is read once more
    calls: Counter[str] = Counter()
    for name in ("open", "stat", "scandir", "fstat", "readlink"):
        monkeypatch.setattr(os, name, counted(getattr(os, name), calls))
    directory.read()
    monkeypatch.undo()
    folders = 101
    assert calls["scandir"] == folders + 1  # the directory is also listed for folders
    assert calls["open"] == folders
    assert calls["stat"] <= 3 * folders + 200  # jwks.toml, whether the folder was swapped, and each file
    assert calls["fstat"] + calls["readlink"] <= 6 * folders


def counted(function: Any, calls: Counter[str]) -> Any:
    """Count the calls of a function."""

    def count(*arguments: Any, **named: Any) -> Any:
        calls[function.__name__] += 1
        return function(*arguments, **named)

    return count


def test_volume_is_always_settled(tmp_path: Path) -> None:
    """A Kubernetes volume is written before its link is swapped."""
    filled(tmp_path / "..1", "a.pem")
    (tmp_path / "..data").symlink_to("..1")
    assert not scan(Directory(tmp_path, PATTERNS)).unsettled


UNRESERVED = string.ascii_letters + string.digits + "-._~"
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]) | st.sampled_from(UNRESERVED + " %+"),
    min_size=1,
    max_size=8,
).filter(lambda name: not name.startswith(".") and not fnmatch.fnmatch(name, "*.pem"))


@given(NAMES)
def test_names_of_issuers(name: str) -> None:
    """A name of unreserved characters is served; any other with keys in it is refused with the way out."""
    with tempfile.TemporaryDirectory() as holder:
        folder = Path(holder) / name
        folder.mkdir()
        directory = Directory(Path(holder), PATTERNS)
        assert scan(directory, f"/{name}").empty
        (folder / "a.pem").write_bytes(public_pem(key("P-256")))
        seen = directory.read()[f"/{name}"]
    if set(name) <= set(UNRESERVED):
        assert isinstance(seen, Observation)
        assert not seen.empty
    else:
        assert isinstance(seen, errors.IssuerNameInvalid)
        assert str(folder) in seen.message
        assert "rename" in seen.message


def test_policy_file(tmp_path: Path) -> None:
    """jwks.toml is read beside the keys; one that can't be read is an error of its own."""
    directory = Directory(tmp_path, PATTERNS)
    assert scan(directory).policy is None
    (tmp_path / "jwks.toml").write_bytes(b"max_age = 5")
    assert scan(directory).policy == b"max_age = 5"
    (tmp_path / "jwks.toml").write_bytes(b"#" * (MAX_POLICY_BYTES + 1))
    assert isinstance(scan(directory).policy, errors.PolicyInvalid)


def test_world_readable(tmp_path: Path) -> None:
    """The mode is looked at, and looked at again when it changes."""
    path = tmp_path / "a.pem"
    path.write_bytes(private_pem(key("P-256")))
    directory = Directory(tmp_path, PATTERNS)
    for mode, exposed in ((0o644, True), (0o640, False), (0o604, True)):
        path.chmod(mode)
        assert files(directory)[0].world_readable is exposed


def test_wanted_names(tmp_path: Path) -> None:
    """Events count for key files, the policy and the data link; not for what writers leave beside them."""
    wants = Directory(tmp_path, PATTERNS).wants
    assert [name for name in ("a.pem", "tls.crt", "jwks.toml", "..data") if wants(name)] != []
    assert not any(wants(name) for name in ("a.pem~", ".a.pem.swp", "4913", "tls.key", "..data_tmp"))


def test_descriptors_are_closed(tmp_path: Path) -> None:
    """Observations, whatever they meet, leave no descriptor open."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "b.pem").symlink_to("nowhere")
    directory = Directory(tmp_path, PATTERNS)
    directory.read()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        directory.forget()
        directory.read()
        with pytest.raises(errors.DirectoryMissing):
            Directory(tmp_path / "none", PATTERNS).read()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
