"""Directories that are seen while somebody is still writing, with pollers that judge every answer.

Each story runs on a disk and on tmpfs, against a server in a process of its own.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import writers
from polling import Judge, polling
from support import key, public_pem, serving, thumbprint

PEMS = [public_pem(key("P-256", number)) for number in range(6)]
KIDS = [thumbprint(key("P-256", number)) for number in range(6)]


@pytest.fixture(params=["disk", "tmpfs"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Make a key directory with keys 0, 1 and 2."""
    shm = Path("/dev/shm")  # noqa: S108 - it is the filesystem that matters
    if request.param == "tmpfs" and not shm.is_dir():
        pytest.skip("this machine has no /dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if request.param == "tmpfs" else tmp_path) as parent:
        path = Path(parent) / "keys"
        path.mkdir()
        for number in range(3):
            (path / f"{number}.pem").write_bytes(PEMS[number])
        yield path


def always(judge: Judge, *numbers: int) -> None:
    """Insist that every answer had these keys."""
    assert all({KIDS[number] for number in numbers} <= seen for seen in judge.seen)


def never(judge: Judge, number: int) -> None:
    """Insist that no answer had this key."""
    assert all(KIDS[number] not in seen for seen in judge.seen)


class Pace:
    """Tells whether a writer went on without a pause in which the server may take it for finished.

    The server waits for a quarter of a second. On a busy machine the writer in a test may stop for longer; then its
    turn is no example of somebody who is still writing, and is made again.
    """

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.steady = True

    def step(self) -> None:
        """Take note of a change in the directory."""
        now = time.monotonic()
        self.steady = self.steady and now - self._last < 0.2
        self._last = now


async def test_bundle_written_by_cat(keys: Path) -> None:
    """A bundle that gets a new first key is never the new key alone, however slowly it is written."""
    (keys / "bundle.pem").write_bytes(PEMS[3] + PEMS[4])
    async with serving(keys) as server, polling(server) as judge:
        with (keys / "bundle.pem").open("wb") as file:
            for number in (5, 3, 4):
                await judge.more(30)
                file.write(PEMS[number][:60])
                file.flush()
                await judge.more()
                file.write(PEMS[number][60:])
                file.flush()
        await judge.until(KIDS)
        always(judge, 0, 1, 2, 3, 4)


async def test_key_that_left_a_bundle(keys: Path) -> None:
    """A key that a finished file does not hold any more is withdrawn by itself when the file has been quiet."""
    (keys / "bundle.pem").write_bytes(PEMS[3] + PEMS[4])
    async with serving(keys, "--rescan", "3600") as server, polling(server) as judge:
        (keys / "bundle.pem").write_bytes(PEMS[5] + PEMS[3])
        await server.log("key-published", kid=KIDS[5])
        await server.log("key-withdrawn", kid=KIDS[4])
        await judge.until([*KIDS[:4], KIDS[5]])
        always(judge, 0, 1, 2, 3)


@pytest.mark.parametrize("folder", ["", "acme"], ids=["directory", "issuer"])
async def test_removed_and_copied_again(keys: Path, folder: str) -> None:
    """Rm -rf and cp -r of the directory or of an issuer's folder publish no half of it."""
    if folder:
        shutil.copytree(keys, keys / folder)
    target, spare = keys / folder, keys.parent / "spare"
    shutil.copytree(target, spare)
    issuer = f"/{folder}" if folder else ""
    async with serving(keys) as server, polling(server, issuer=issuer) as judge:
        turn = 0
        while turn < 5:
            (spare / f"{3 + turn % 3}.pem").write_bytes(PEMS[3 + turn % 3])
            pace = Pace()
            shutil.rmtree(target)
            target.mkdir()
            pace.step()
            for path in sorted(spare.iterdir()):
                shutil.copytree(path, target / path.name) if path.is_dir() else shutil.copy(path, target)
                pace.step()
                await judge.more(5)
            await judge.until(KIDS[: min(6, 4 + turn)])
            if pace.steady:
                always(judge, 0, 1, 2)
                turn += 1
            judge.seen.clear()


async def test_two_names_exchanged(keys: Path) -> None:
    """Two files that exchange their names by way of a third one are published all the time."""
    async with serving(keys) as server, polling(server) as judge:
        turn = 0
        while turn < 5:
            pace = Pace()
            (keys / "0.pem").rename(keys / "spare")
            await judge.more(3)
            (keys / "1.pem").rename(keys / "0.pem")
            pace.step()
            await judge.more(30)
            (keys / "spare").rename(keys / "1.pem")
            pace.step()
            await judge.until(KIDS[:3])
            await judge.more(3)
            if pace.steady:
                assert judge.seen.keys() == {frozenset(KIDS[:3])}
                turn += 1
            judge.seen.clear()


async def test_policy_that_becomes_a_link_to_nothing(keys: Path) -> None:
    """The policy that was there stays in force, with a fault; a revoked key does not come back."""
    (keys / "jwks.toml").write_text(f'revoked = ["{KIDS[2]}"]\n')
    async with serving(keys, "--grace-period", "0.1") as server, polling(server) as judge:
        (keys / "link").symlink_to("nowhere")
        (keys / "link").rename(keys / "jwks.toml")
        fault = await server.log("reload-failed", code="policy-invalid")
        assert "leads nowhere" in fault["reason"]
        writers.replace(keys / "3.pem", PEMS[3], temporary="tmp")
        await judge.until([KIDS[0], KIDS[1], KIDS[3]])
        never(judge, 2)


async def test_policy_that_is_a_link_to_nothing_at_the_start(keys: Path) -> None:
    """Nothing is published, since it may revoke a key; not while the link is replaced, either."""
    (keys / "jwks.toml").symlink_to("nowhere")
    async with serving(keys) as server:
        assert [one["code"] for one in server.logs if one["event"] == "reload-failed"] == ["policy-invalid"]
        assert not [one for one in server.logs if one["event"] == "key-published"]
        (keys / "jwks.toml").unlink()
        (keys / "jwks.toml").write_text(f'revoked = ["{KIDS[2]}"]\n')
        await server.log("key-revoked", kid=KIDS[2])
        async with polling(server) as judge:
            await judge.until(KIDS[:2])
            never(judge, 2)
        assert not [one for one in server.logs if one["event"] == "key-published" and one["kid"] == KIDS[2]]


async def test_policy_written_in_place_in_two_writes(keys: Path) -> None:
    """What the first half does not say yet stays in force; what it adds holds at once."""
    (keys / "jwks.toml").write_text(f'revoked = [\n"{KIDS[2]}"]\n')
    async with serving(keys, "--grace-period", "3600") as server, polling(server) as judge:
        for half, revoked in (("max_age = 7\n", (2,)), (f'revoked = ["{KIDS[1]}"]\n', (2, 1))):
            with (keys / "jwks.toml").open("w") as file:
                file.write(half)
                file.flush()
                await judge.more(50)
                file.write(f"retain = 5\n# {revoked}\n")
        await server.log("key-revoked", kid=KIDS[1])
        await judge.until([KIDS[0]])
        never(judge, 2)


@pytest.mark.parametrize("how", ["deleted", "emptied"])
async def test_policy_that_is_deleted_or_emptied(keys: Path, how: str) -> None:
    """Its revocations lapse after the grace period only, with a warning that names each kid."""
    (keys / "jwks.toml").write_text(f'revoked = ["{KIDS[1]}", "{KIDS[2]}"]\n')
    async with serving(keys, "--grace-period", "1") as server, polling(server) as judge:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if how == "deleted":
            (keys / "jwks.toml").unlink()
        else:
            (keys / "jwks.toml").write_bytes(b"")
        found = {(await server.log("finding", code="revocation-lapsed"))["subject"] for _ in range(2)}
        assert loop.time() - began > 0.9  # the two clocks may run a little apart
        assert found == {KIDS[1], KIDS[2]}
        await judge.until(KIDS[:3])
