"""A directory's path -> what each of its key files holds."""

import os
import socket
from pathlib import Path

import pytest
from support import PASSPHRASE, key, private_pem, public_pem

from jwks_server import errors
from jwks_server.keys.keyset import KeyFile
from jwks_server.source.directory import Directory
from jwks_server.source.files import MAX_FILE_BYTES

PATTERNS = ("*.pem", "tls.crt")


def read(path: Path) -> dict[str, KeyFile]:
    """Read a directory once."""
    return {file.name: file for file in Directory(path, PATTERNS).read().files.values()}


def files(directory: Directory) -> list[KeyFile]:
    """Read a directory once more."""
    return list(directory.read().files.values())


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
    """In a volume, keys in folders are read too, under their path; in a flat directory they are not."""
    (tmp_path / "..1" / "a" / "b").mkdir(parents=True)
    (tmp_path / "..1" / "a" / "b" / "deep.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "..1" / "a" / "tls.crt").write_bytes(public_pem(key("P-384")))
    assert list(read(tmp_path / "..1")) == []
    (tmp_path / "..data").symlink_to("..1")
    assert list(read(tmp_path)) == ["a/b/deep.pem", "a/tls.crt"]


def test_policy_file(tmp_path: Path) -> None:
    """jwks.toml is read beside the keys; one that can't be read is an error of its own."""
    directory = Directory(tmp_path, PATTERNS)
    assert directory.read().policy is None
    (tmp_path / "jwks.toml").write_bytes(b"max_age = 5")
    assert directory.read().policy == b"max_age = 5"
    (tmp_path / "jwks.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    assert isinstance(directory.read().policy, errors.PolicyInvalid)


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
    """Scans, whatever they meet, leave no descriptor open."""
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
