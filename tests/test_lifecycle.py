"""The life of a key in the running program: the policy file, time, restarts."""

import asyncio
import json
import random
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from polling import polling
from support import HANG_SECONDS, SCRIPT, Running, key, public_pem, raw, serving
from writers import replace

from jwks_server.keys.keyset import read_file

PEMS = [public_pem(key("P-256", number)) for number in range(6)]
KIDS = [read_file("x", pem, None).keys[0].thumbprint for pem in PEMS]


def put(directory: Path, *numbers: int) -> None:
    """Write keys, each into a file of its own."""
    for number in numbers:
        replace(directory / f"{number}.pem", PEMS[number], temporary="tmp")


def policy(directory: Path, text: str) -> None:
    """Write the policy file as a whole."""
    replace(directory / "jwks.toml", text.encode(), temporary="toml.tmp")


async def kids(server: Running) -> list[str]:
    """Fetch the kids."""
    async with aiohttp.ClientSession() as session, session.get(server.url) as reply:
        return [one["kid"] for one in (await reply.json())["keys"]]


async def test_retain(tmp_path: Path) -> None:
    """A key whose file vanished is retiring, then withdrawn by time alone; the log says when."""
    put(tmp_path, 0, 1)
    async with serving(tmp_path, "--retain", "1", "--rescan", "3600") as server:
        (tmp_path / "1.pem").unlink()
        retiring = await server.log("key-retiring", kid=KIDS[1])
        assert "retires_at" in retiring
        assert await kids(server) == [KIDS[0], KIDS[1]]
        withdrawn = await server.log("key-withdrawn", kid=KIDS[1])
        assert withdrawn["timestamp"] >= retiring["retires_at"]
        assert await kids(server) == [KIDS[0]]


@asynccontextmanager
async def scheduled(directory: Path) -> AsyncIterator[tuple[Running, datetime, datetime, datetime]]:
    """Serve key 1 from a time on, and key 2 up to a later one; on a busy machine those times are later ones.

    Yields:
        The server, a time before its start, and the two times.
    """
    for seconds in (2, 8, 32):
        before = datetime.now(UTC)
        start, end = (before + timedelta(seconds=seconds * factor) for factor in (1, 1.5))
        policy(
            directory,
            f'[keys."1.pem"]\npublish_at = {start.isoformat()}\n[keys."2.pem"]\nremove_at = {end.isoformat()}\n',
        )
        async with serving(directory, "--rescan", "3600") as server:
            if datetime.now(UTC) < before + (start - before) / 2:
                yield server, before, start, end
                return
    pytest.fail("the server needs 16 seconds to start")


async def test_publish_at_and_remove_at(tmp_path: Path) -> None:
    """At their times keys come and go without any event, and no cache keeps the set past them."""
    put(tmp_path, 0, 1, 2)
    async with scheduled(tmp_path) as (server, before, start, end):
        pending = next(one for one in server.logs if one["event"] == "key-pending")
        assert (pending["kid"], pending["publish_at"][:19]) == (KIDS[1], start.isoformat()[:19])
        bodies = []
        for since, change, event in ((before, start, "key-published"), (start, end, "key-removed")):
            reply = await raw(
                server.port, b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            lifetime = re.search(rb"max-age=(\d+)", reply)
            assert lifetime is not None
            bodies.append(reply.rpartition(b"\r\n\r\n")[2])
            if KIDS[2].encode() in bodies[-1]:  # else the change was faster than this request
                assert timedelta(seconds=int(lifetime[1])) < change - since
            logged = await server.log(event)
            assert datetime.fromisoformat(logged["timestamp"]) >= change - timedelta(milliseconds=1)
        assert sorted(await kids(server)) == sorted([KIDS[0], KIDS[1]])
        assert bodies[0] != bodies[1]


async def test_max_age_shrinks_before_a_change(tmp_path: Path) -> None:
    """Within max-age of a scheduled change the lifetime counts down with the time, the ETag staying as it is."""
    put(tmp_path, 0, 1)
    end = datetime.now(UTC) + timedelta(seconds=30)
    policy(tmp_path, f'[keys."1.pem"]\nremove_at = {end.isoformat()}\n')
    request = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with serving(tmp_path, "--rescan", "3600") as server:
        seen: dict[int, set[bytes]] = {}
        async with asyncio.timeout(HANG_SECONDS):
            while len(seen) < 3:
                head = await raw(server.port, request)
                found = re.search(rb"max-age=(\d+)", head)
                tag = re.search(rb"ETag: (\S+)", head)
                assert found is not None
                assert tag is not None
                seen.setdefault(int(found[1]), set()).add(tag[1])
                assert (datetime.now(UTC) + timedelta(seconds=int(found[1]))) < end + timedelta(seconds=1)
        assert len(set().union(*seen.values())) == 1


async def test_revoked_down_to_an_empty_set(tmp_path: Path) -> None:
    """A revoked kid is dropped at once, the last key too."""
    put(tmp_path, 0, 1)
    async with serving(tmp_path, "--retain", "3600") as server:
        policy(tmp_path, f'revoked = ["{KIDS[0]}"]')
        await server.log("key-revoked", kid=KIDS[0])
        assert await kids(server) == [KIDS[1]]
        policy(tmp_path, f'revoked = ["{KIDS[0]}", "{KIDS[1]}"]')
        await server.log("key-revoked", kid=KIDS[1])
        assert await kids(server) == []
        await server.log("finding", code="empty-set")


async def test_wrong_policy_keeps_the_last_good_one(tmp_path: Path) -> None:
    """A wrong jwks.toml is reported with line and key; keys go on being followed under the last good policy."""
    put(tmp_path, 0)
    policy(tmp_path, f'rsa_alg = "PS256"\nrevoked = ["{KIDS[1]}"]')
    async with serving(tmp_path) as server, polling(server) as judge:
        policy(tmp_path, 'revoked = "none"')
        fault = await server.log("reload-failed", code="policy-invalid")
        assert "line 1: revoked" in fault["reason"]
        put(tmp_path, 1, 2)
        await judge.until([KIDS[0], KIDS[2]])
        policy(tmp_path, "")
        await server.log("reload-recovered", code="policy-invalid")


async def test_emptied_policy_is_waited_for(tmp_path: Path) -> None:
    """An editor that empties the policy file before it writes it anew brings no revoked key back."""
    put(tmp_path, 0, 1)
    policy(tmp_path, f'revoked = ["{KIDS[1]}"]')
    async with serving(tmp_path) as server, polling(server) as judge:
        with (tmp_path / "jwks.toml").open("w") as file:
            await judge.more(100)
            file.write(f'revoked = ["{KIDS[1]}"]\nmax_age = 7')
        (tmp_path / "jwks.toml").unlink()
        policy(tmp_path, f'revoked = ["{KIDS[1]}"]')
        put(tmp_path, 2)
        await judge.until([KIDS[0], KIDS[2]])
        assert judge.seen.keys() == {frozenset([KIDS[0]]), frozenset([KIDS[0], KIDS[2]])}


async def test_wrong_policy_at_start(tmp_path: Path) -> None:
    """With a policy that was never good nothing is published: it might have revoked a key."""
    put(tmp_path, 0)
    policy(tmp_path, "nonsense")
    async with serving(tmp_path) as server:
        assert [one["code"] for one in server.logs if one["event"] == "reload-failed"] == ["policy-invalid"]
        assert b" 503 " in await raw(server.port, b"GET /.well-known/jwks.json HTTP/1.0\r\n\r\n")
        policy(tmp_path, "max_age = 7")
        await server.log("key-published", kid=KIDS[0])
        assert b"max-age=7," in await raw(server.port, b"GET /.well-known/jwks.json HTTP/1.0\r\n\r\n")


async def test_state_across_restarts(tmp_path: Path) -> None:
    """Retiring keys and first-published times outlive a restart, and what vanished meanwhile begins to retire."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    put(keys, 0, 1, 2)
    flags = ("--state", str(state), "--retain", "3600", "--log-level", "debug")
    async with serving(keys, *flags) as server:
        first = {one["kid"]: one["first_published"] for one in server.logs if one["event"] == "key-published"}
        (keys / "1.pem").unlink()
        retiring = await server.log("key-retiring", kid=KIDS[1])
    (keys / "2.pem").unlink()
    async with serving(keys, *flags) as server:
        assert sorted(await kids(server)) == sorted(KIDS[:3])
        again = {one["kid"]: one for one in server.logs if "kid" in one}
        assert again[KIDS[0]]["first_published"] == first[KIDS[0]]
        assert (again[KIDS[1]]["event"], again[KIDS[1]]["retires_at"]) == ("key-retiring", retiring["retires_at"])
        assert again[KIDS[2]]["event"] == "key-retiring"
    assert b'"d"' not in state.read_bytes()


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", b"{}", b'{"version": 2, "keys": []}', b'{"version":1,"keys":[{}]}']
)
async def test_damaged_state(tmp_path: Path, damage: bytes) -> None:
    """A damaged state file is set aside with a warning, and the start goes on."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    put(keys, 0)
    state.write_bytes(damage)
    async with serving(keys, "--state", str(state)) as server:
        assert [one["code"] for one in server.logs if one["event"] == "state-lost"] == ["state-damaged"]
        assert await kids(server) == [KIDS[0]]
    assert (tmp_path / "state.json.damaged").read_bytes() == damage
    assert json.loads(state.read_bytes())["issuers"]["/"][0]["jwk"]["kid"] == KIDS[0]


async def test_state_that_can_not_be_written(tmp_path: Path) -> None:
    """A state file that can't be written is an error in the log; serving goes on, and it is tried again."""
    keys, folder = tmp_path / "keys", tmp_path / "later"
    keys.mkdir()
    put(keys, 0)
    async with serving(keys, "--state", str(folder / "state.json"), "--rescan", "0.05") as server:
        if "reload-failed" not in {one["event"] for one in server.logs}:  # the state is written beside the answers
            await server.log("reload-failed", code="state-unusable")
        assert [one["code"] for one in server.logs if one["event"] == "reload-failed"] == ["state-unusable"]
        assert await kids(server) == [KIDS[0]]
        folder.mkdir()
        await server.log("reload-recovered", code="state-unusable")
        assert (folder / "state.json").exists()


async def test_killed_at_random_moments(tmp_path: Path) -> None:
    """What was published when the state was last written is still served after kill -9 at random moments."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    put(keys, 0)
    chance = random.Random(7)  # noqa: S311 - which moments doesn't matter, that they vary does
    saved: set[str] = set()
    for _ in range(8):
        async with serving(keys, "--state", str(state), "--retain", "3600") as server:
            assert saved <= set(await kids(server))
            for _ in range(chance.randrange(3, 40)):
                _rotate(keys, chance)
                await kids(server)
            shown = set(await kids(server))
            if chance.random() < 0.5:  # the state is written beside the answers, soon after them
                await _until(partial(_holds, state, shown))
            _rotate(keys, chance)
            server.process.send_signal(signal.SIGKILL)
            await server.process.wait()
            assert saved <= (saved := _saved(state))
    assert len(saved) > 2
    async with serving(keys, "--state", str(state), "--retain", "3600") as server:
        assert saved <= set(await kids(server))


def _saved(state: Path) -> set[str]:
    """Read the kids that the state holds; the file is whole at any moment."""
    if not state.exists():
        return set()
    issuers = json.loads(state.read_bytes())["issuers"].values()
    return {entry["jwk"]["kid"] for entries in issuers for entry in entries}


def _holds(state: Path, kids: set[str]) -> bool:
    return kids <= _saved(state)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def _rotate(keys: Path, chance: random.Random) -> None:
    """Put a key, or take one away where there are more."""
    present = sorted(keys.glob("*.pem"))
    if len(present) > 1 and chance.random() < 0.5:
        chance.choice(present).unlink()
    else:
        put(keys, chance.randrange(6))


async def test_findings_are_logged_once(tmp_path: Path) -> None:
    """What will likely hurt someone is said once for each change."""
    put(tmp_path, 0)
    async with serving(tmp_path, "--rescan", "0.02") as server:
        put(tmp_path, 1)
        await server.log("key-published", kid=KIDS[1])
        (tmp_path / "rsa.pem").write_bytes(public_pem(key("RSA")))
        await server.log("key-published", alg="RS256")
    assert [(one["code"], one["subject"]) for one in server.logs if one["event"] == "finding"] == [("no-rsa", "set")]


async def test_stalled_log_never_stalls_the_server(tmp_path: Path) -> None:
    """When nobody reads standard error any more, requests are answered and keys followed all the same."""
    put(tmp_path, 0)
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "serve", str(tmp_path), "--bind", "127.0.0.1:0", "--log-format", "json"),
        stderr=asyncio.subprocess.PIPE,
        limit=64,
    )
    assert process.stderr is not None
    server = Running.__new__(Running)
    async with asyncio.timeout(HANG_SECONDS):
        line = b""
        while b'"listening"' not in line:
            line += await process.stderr.read(64)
        address = re.search(rb'"address": "127.0.0.1:(\d+)"', line)
        assert address is not None
        server.port = int(address[1])
        async with polling(server) as judge:
            for turn in range(400):
                replace(tmp_path / "bad.pem", b"-----BEGIN A" + b"A" * (turn % 60) + b"-----", temporary="tmp")
                await judge.more(2)
            put(tmp_path, 1)
            await judge.until(KIDS[:2])
        process.kill()
        await process.communicate()
