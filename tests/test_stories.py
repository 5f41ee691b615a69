"""How key directories change in the field, with pollers that judge every answer.

Each story runs against a server in a process of its own, with its default settings.
"""

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import writers
from polling import Judge, Kids, polling
from support import certificate_pem, certify, key, private_jwk, private_pem, public_pem, serving

from jwks_server.keys.keyset import read_file

PEMS = [public_pem(key("P-256", number)) for number in range(12)]
KIDS = [read_file("x", pem, None).keys[0].thumbprint for pem in PEMS]


def kids(*numbers: int) -> Kids:
    """Name the kids of keys."""
    return frozenset(KIDS[number] for number in numbers)


def follow_each_other(judge: Judge, *versions: Kids) -> None:
    """Insist that each version was seen, and else only two that follow each other, together: no key goes too early."""
    assert set(versions) <= judge.seen.keys()
    assert judge.seen.keys() <= {*versions, *(one | other for one, other in pairwise(versions))}


@asynccontextmanager
async def judged(directory: Path, *flags: str) -> AsyncIterator[Judge]:
    """Serve a directory and poll it."""
    async with serving(directory, *flags) as server, polling(server) as judge:
        yield judge


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with keys 0 and 1."""
    path = tmp_path / "parent" / "keys"
    path.mkdir(parents=True)
    for number in (0, 1):
        (path / f"{number}.pem").write_bytes(PEMS[number])
    return path


@pytest.mark.parametrize("links_first", [True, False], ids=["links-first", "rename-first"])
async def test_kubernetes_volume(tmp_path: Path, *, links_first: bool) -> None:
    """500 updates of a Secret, each seen whole, in either order of links and rename; an orphan is never walked."""
    orphan = tmp_path / "..2025_01_01_00_00_00.000000001"
    orphan.mkdir()
    (orphan / "old.pem").write_bytes(PEMS[11])
    writer = writers.AtomicWriter(tmp_path, links_first=links_first)
    versions = [{f"{n}.pem": PEMS[n] for n in numbers} for numbers in ((0, 1), (1, 2), (2, 3, 4), (0, 4), (5,))]
    versions[2]["nested/deep/6.pem"] = PEMS[6]
    expected = [kids(0, 1), kids(1, 2), kids(2, 3, 4), kids(0, 4), kids(5)]
    writer.write(versions[0])
    async with judged(tmp_path) as judge:
        for update in range(1, 501):
            writer.write(versions[update % 5])
            await judge.until(expected[update % 5])
        assert judge.seen.keys() == set(expected)


async def test_kubernetes_volume_in_a_storm(tmp_path: Path) -> None:
    """Updates faster than they can be followed: every answer is one of the versions, and the last one wins."""
    writer = writers.AtomicWriter(tmp_path, links_first=True)
    versions = [{f"{n}.pem": PEMS[n] for n in numbers} for numbers in ((0, 1, 2), (3, 4, 5), (6, 7, 8))]
    writer.write(versions[0])
    async with judged(tmp_path) as judge:
        for update in range(300):
            writer.write(versions[update % 3])
            if update % 10 == 0:
                await asyncio.sleep(0)
        await judge.until(kids(6, 7, 8))
        assert judge.seen.keys() <= {kids(0, 1, 2), kids(3, 4, 5), kids(6, 7, 8)}


async def test_directory_deleted_and_recreated(keys: Path) -> None:
    """A directory that is deleted and made anew is never an empty or missing set."""
    async with judged(keys) as judge:
        for _ in range(5):
            shutil.rmtree(keys)
            await judge.more()
            keys.mkdir()
            await judge.more()
            writers.replace(keys / "2.pem", PEMS[2], temporary="2.tmp")
            await judge.until(kids(2))
            for number in (0, 1):
                (keys / f"{number}.pem").write_bytes(PEMS[number])
            (keys / "2.pem").unlink()
            await judge.until(kids(0, 1))
        assert set().union(*judge.seen) == kids(0, 1, 2)


async def test_directory_moved_away_and_back(keys: Path) -> None:
    """While the directory is away the last set is served; what changed meanwhile shows when it is back."""
    async with judged(keys) as judge:
        for number in (2, 3):
            keys.rename(keys.parent / "away")
            await judge.more()
            (keys.parent / "away" / f"{number}.pem").write_bytes(PEMS[number])
            await judge.more()
            (keys.parent / "away").rename(keys)
            await judge.until(kids(*range(number + 1)))
        assert judge.seen.keys() == {kids(0, 1), kids(0, 1, 2), kids(0, 1, 2, 3)}


async def test_directories_exchanged(keys: Path) -> None:
    """Two directories that change places in one system call are two versions, and nothing between."""
    other = keys.parent / "other"
    other.mkdir()
    for number in (2, 3):
        (other / f"{number}.pem").write_bytes(PEMS[number])
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        pytest.skip("this C library has no renameat2")
    async with judged(keys) as judge:
        for turn in range(10):
            done = libc.renameat2(-100, os.fsencode(keys), -100, os.fsencode(other), 2)
            if done:
                pytest.skip("this filesystem can't exchange directories")
            await judge.until(kids(0, 1) if turn % 2 else kids(2, 3))
        assert judge.seen.keys() == {kids(0, 1), kids(2, 3)}


async def test_git_sync(tmp_path: Path) -> None:
    """A link to the directory that is swapped, the old directory deleted right after."""
    link = tmp_path / "current"

    def sync(turn: int) -> None:
        folder = tmp_path / f"rev-{turn}" / "keys"
        folder.mkdir(parents=True)
        for number in (turn % 3, turn % 3 + 3):
            (folder / f"{number}.pem").write_bytes(PEMS[number])
        (tmp_path / "new").symlink_to(f"rev-{turn}")
        (tmp_path / "new").rename(link)
        shutil.rmtree(tmp_path / f"rev-{turn - 1}", ignore_errors=True)

    sync(0)
    async with judged(link / "keys") as judge:
        for turn in range(1, 13):
            sync(turn)
            await judge.until(kids(turn % 3, turn % 3 + 3))
        assert judge.seen.keys() == {kids(0, 3), kids(1, 4), kids(2, 5)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
async def test_directory_is_mounted_over(keys: Path) -> None:
    """A filesystem mounted over the directory, and unmounted, is seen without any event."""
    async with judged(keys) as judge:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(keys)], check=False, capture_output=True)
        if mounted.returncode:
            pytest.skip("this machine lets no one mount")
        try:
            await judge.more()
            writers.replace(keys / "2.pem", PEMS[2], temporary="tmp")
            await judge.until(kids(2))
        finally:
            subprocess.run(["umount", "-l", str(keys)], check=True)
        await judge.until(kids(0, 1))
        assert judge.seen.keys() == {kids(0, 1), kids(2)}


async def test_directory_briefly_empty(keys: Path) -> None:
    """All files go and others come: the last set stays until then."""
    async with judged(keys) as judge:
        for path in keys.iterdir():
            path.unlink()
        await judge.more(100)
        writers.replace(keys / "2.pem", PEMS[2], temporary="tmp")
        await judge.until(kids(2))
        assert kids(0, 1) in judge.seen


async def test_missing_at_start(tmp_path: Path) -> None:
    """A directory that appears later is served from then on."""
    async with serving(tmp_path / "a" / "keys") as server:
        (tmp_path / "a" / "keys").mkdir(parents=True)
        (tmp_path / "a" / "keys" / "0.pem").write_bytes(PEMS[0])
        await server.log("key-published", kid=KIDS[0])
        async with polling(server) as judge:
            await judge.until(kids(0))


async def test_certbot(tmp_path: Path) -> None:
    """Links that are unlinked and linked anew never cost a key."""
    live, archive = tmp_path / "live", tmp_path / "archive"
    live.mkdir()
    archive.mkdir()
    for number in range(6):
        (archive / f"cert{number}.pem").write_bytes(certificate_pem(certify(key("P-256", number))))
    (live / "cert.pem").symlink_to(archive / "cert0.pem")
    async with judged(live) as judge:
        for number in range(1, 6):
            writers.certbot(live / "cert.pem", archive / f"cert{number}.pem")
            await judge.until(kids(number))
        follow_each_other(judge, *(kids(number) for number in range(6)))


async def test_rsync(keys: Path) -> None:
    """Renames that keep the modification time, and writes in place that keep the size too."""
    path = keys / "1.pem"
    mtime_ns = path.stat().st_mtime_ns
    async with judged(keys) as judge:
        for number in (2, 3, 4):
            writers.rsync(path, PEMS[number], mtime_ns)
            await judge.until(kids(0, number))
        for number in (5, 6, 7):
            writers.rsync_in_place(path, PEMS[number])
            await judge.until(kids(0, number))
        follow_each_other(judge, *(kids(0, number) for number in range(1, 8)))


async def test_kubectl_cp(keys: Path) -> None:
    """Files that are deleted and created anew never leave the set without a key."""
    async with judged(keys) as judge:
        for number in (2, 3, 4, 5):
            writers.kubectl_cp(keys / "1.pem", PEMS[number])
            await judge.until(kids(0, number))
        follow_each_other(judge, *(kids(0, number) for number in range(1, 6)))


async def test_slow_write_in_place(keys: Path) -> None:
    """A file that is emptied, half written and completed later keeps its last good key meanwhile."""
    path = keys / "1.pem"
    async with judged(keys, "--grace-period", "3600") as judge:
        for number in (2, 3):
            with path.open("wb") as file:
                await judge.more()
                file.write(PEMS[number][:70])
                file.flush()
                await judge.more()
                file.write(PEMS[number][70:])
            await judge.until(kids(0, number))
        follow_each_other(judge, kids(0, 1), kids(0, 2), kids(0, 3))


async def test_jwk_set_written_in_place(keys: Path) -> None:
    """A JWK Set that is emptied, half written and completed at each rotation loses no key, and publishes none early."""
    path = keys / "set.jwks"
    rotation = ((2,), (2, 3), (3,), (3, 4))
    async with judged(keys, "--grace-period", "3600") as judge:
        for numbers in rotation:
            document = json.dumps({"keys": [private_jwk(key("P-256", number)) for number in numbers]}).encode()
            with path.open("wb") as file:
                await judge.more()
                for half in (document[: len(document) // 2], document[len(document) // 2 :]):
                    file.write(half)
                    file.flush()
                    await judge.more()
            await judge.until(kids(0, 1, *numbers))
        follow_each_other(judge, kids(0, 1), *(kids(0, 1, *numbers) for numbers in rotation))


async def test_file_that_stays_bad(keys: Path) -> None:
    """A file that turned bad for good is withdrawn with its code after the grace period."""
    async with serving(keys, "--grace-period", "0.2") as server, polling(server) as judge:
        (keys / "1.pem").write_bytes(b"nonsense")
        refused = await server.log("file-refused", file="1.pem")
        assert refused["code"] == "pem-missing"
        await judge.until(kids(0))
        assert [one["event"] for one in server.logs if one.get("kid") == KIDS[1]][-1] == "key-published"
        await server.log("key-withdrawn", kid=KIDS[1])


async def test_new_file_that_grows(keys: Path) -> None:
    """A new key's file that appears empty, as openssl -out makes it, is published once it is whole."""
    async with judged(keys) as judge:
        with (keys / "2.pem").open("wb") as file:
            await judge.more()
            file.write(PEMS[2])
        await judge.until(kids(0, 1, 2))
        assert judge.seen.keys() == {kids(0, 1), kids(0, 1, 2)}


async def test_hard_links_and_targets_outside(tmp_path: Path) -> None:
    """A file written through another name, where no event comes, is found by the rescan."""
    keys, outside = tmp_path / "keys", tmp_path / "outside"
    keys.mkdir()
    outside.mkdir()
    for number in (0, 1):
        (outside / str(number)).write_bytes(PEMS[number])
    (keys / "hard.pem").hardlink_to(outside / "0")
    (keys / "soft.pem").symlink_to(outside / "1")
    async with judged(keys, "--rescan", "0.05") as judge:
        writers.rsync_in_place(outside / "0", PEMS[2])
        await judge.until(kids(1, 2))
        writers.rsync_in_place(outside / "1", PEMS[3])
        await judge.until(kids(2, 3))
        writers.replace(outside / "1", PEMS[4], temporary="tmp")
        await judge.until(kids(2, 4))
        follow_each_other(judge, kids(0, 1), kids(1, 2), kids(2, 3), kids(2, 4))


async def test_storm(keys: Path) -> None:
    """Thousands of changes, of key files and of others, cost no answer; the last state wins."""
    async with judged(keys) as judge:
        for turn in range(3000):
            (keys / f".litter{turn % 50}").write_bytes(b"x")
            writers.replace(keys / "2.pem", PEMS[2 + turn % 3], temporary="2.pem~")
            if turn % 100 == 0:
                await asyncio.sleep(0)
        await judge.until(kids(0, 1, 4))
        assert all(kids(0, 1) <= seen <= kids(0, 1, 2, 3, 4) for seen in judge.seen)


async def test_more_events_than_the_kernel_keeps(keys: Path) -> None:
    """A change whose event the kernel dropped, since too many waited, is found without the rescan."""
    async with serving(keys, "--rescan", "3600") as server, polling(server) as judge:
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            for turn in range(9000):  # each is two events, and the kernel keeps 16,384
                (keys / f".litter{turn % 7}").touch()
                (keys / f".litter{turn % 7}").unlink()
            writers.replace(keys / "2.pem", PEMS[2], temporary="2.pem~")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        await judge.until(kids(0, 1, 2))


async def test_everything_that_is_no_key(keys: Path) -> None:
    """Odd files under odd names cost no good key."""
    async with judged(keys) as judge:
        os.mkfifo(keys / "fifo.pem")
        (keys / "folder.pem").mkdir()
        (keys / "loop.pem").symlink_to("loop.pem")
        (keys / "dangling.pem").symlink_to("nowhere")
        (keys / "zero.pem").symlink_to("/dev/zero")
        (keys / "huge.pem").write_bytes(PEMS[9] * 1000)
        for litter in (".2.pem.swp", "2.pem~", "4913", "12345", "2.pem.bak", "#2.pem#", ".git"):
            (keys / litter).write_bytes(PEMS[9])
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(str(keys / "s.pem"))
        for name, number in ((b"line\nbreak.pem", 2), (b"sp ace.pem", 3), (b"\xff\xfe.pem", 4)):
            Path(os.fsdecode(os.fsencode(keys) + b"/" + name)).write_bytes(PEMS[number])
        await judge.until(kids(0, 1, 2, 3, 4))
        assert KIDS[9] not in set().union(*judge.seen)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be refused as")
async def test_unreadable_file(keys: Path) -> None:
    """A file that may not be read is refused with its code; the others are served."""
    keys.chmod(0o755)
    (keys / "2.pem").write_bytes(PEMS[2])
    (keys / "2.pem").chmod(0)
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv"):
        pytest.skip("this machine has no setpriv")
    async with serving(keys, through=drop) as server, polling(server) as judge:
        refused = [one for one in server.logs if one["event"] == "file-refused"]
        assert [(one["file"], one["code"]) for one in refused] == [("2.pem", "file-unreadable")]
        (keys / "2.pem").chmod(0o644)
        await judge.until(kids(0, 1, 2))


async def test_ten_thousand_files(tmp_path: Path) -> None:
    """10,000 key files are served, and one more is seen."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    for number in range(10_000):
        pem = public_pem(ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))
        (tmp_path / f"{number}.pem").write_bytes(pem)
    async with serving(tmp_path) as server:
        if "loaded" not in {one["event"] for one in server.logs}:  # a slow machine listens before it has read all
            await server.log("loaded")
        async with polling(server, 1, patience=300) as judge:
            (loaded,) = judge.seen
            assert len(loaded) == 10_000
            (tmp_path / "new.pem").write_bytes(PEMS[0])
            await judge.until(loaded | kids(0))


async def test_rotation_by_private_keys(tmp_path: Path) -> None:
    """Private keys that come and go show only their public halves."""
    (tmp_path / "a.pem").write_bytes(private_pem(key("P-256", 0)))
    async with judged(tmp_path) as judge:
        for number in range(1, 6):
            writers.replace(tmp_path / "a.pem", private_pem(key("P-256", number)), temporary="a.tmp")
            await judge.until(kids(number))
        follow_each_other(judge, *(kids(number) for number in range(6)))
