"""Many issuers in one process, with pollers that judge every answer."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import writers
from polling import Kids, polling
from support import HANG_SECONDS, SCRIPT, Running, key, public_pem, serving

from jwks_server.keys.keyset import read_file

PATH = "/.well-known/jwks.json"
PEMS = [public_pem(key("P-256", number)) for number in range(8)]
KIDS = [read_file("x", pem, None).keys[0].thumbprint for pem in PEMS]
METADATA = """
authorization_endpoint = "https://id.example.com/authorize"
token_endpoint = "https://id.example.com/token"
response_types_supported = ["code"]
subject_types_supported = ["public"]
"""


def kids(*numbers: int) -> Kids:
    """Name the kids of keys."""
    return frozenset(KIDS[number] for number in numbers)


async def get(server: Running, path: str) -> tuple[int, str | None, Any]:
    """Ask once; give the status, the ETag and the document."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{server.port}{path}") as reply:
        return reply.status, reply.headers.get("ETag"), await reply.json(content_type=None)


async def gone(server: Running, path: str) -> None:
    """Ask until a path is none any more."""
    async with asyncio.timeout(HANG_SECONDS), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{server.port}{path}") as reply:
                if reply.status == 404:
                    return
                assert reply.status == 200


@pytest.mark.parametrize("links_first", [True, False], ids=["links-first", "rename-first"])
async def test_volume_with_a_secret_for_each_path(tmp_path: Path, *, links_first: bool) -> None:
    """Each version of a projected volume is seen whole by each issuer; one that isn't in it is gone at once."""
    writer = writers.AtomicWriter(tmp_path, links_first=links_first)
    versions = [
        {"acme/0.pem": PEMS[0], "acme/1.pem": PEMS[1], "beta/2.pem": PEMS[2], "beta/deep/3.pem": PEMS[3]},
        {"acme/4.pem": PEMS[4], "acme/5.pem": PEMS[5], "beta/0.pem": PEMS[0], "gamma/6.pem": PEMS[6]},
    ]
    expected = [(kids(0, 1), kids(2, 3)), (kids(4, 5), kids(0))]
    writer.write(versions[0])
    async with (
        serving(tmp_path) as server,
        polling(server, 1, "/acme") as acme,
        polling(server, 1, "/beta") as beta,
    ):
        for update in range(1, 101):
            writer.write(versions[update % 2])
            await acme.until(expected[update % 2][0])
            await beta.until(expected[update % 2][1])
            assert (await get(server, "/gamma" + PATH))[0] == (200 if update % 2 else 404)
        assert acme.seen.keys() == {expected[0][0], expected[1][0]}
        assert beta.seen.keys() == {expected[0][1], expected[1][1]}
        assert (await get(server, PATH))[0] == 404


@pytest.mark.parametrize("links_first", [True, False], ids=["links-first", "rename-first"])
async def test_volume_for_each_issuer(tmp_path: Path, *, links_first: bool) -> None:
    """Volumes mounted inside the directory change each by itself, and each as a whole."""
    mounted = [writers.AtomicWriter(tmp_path / name, links_first=links_first) for name in ("acme", "beta")]
    for name, writer, number in zip(("acme", "beta"), mounted, (0, 2), strict=True):
        (tmp_path / name).mkdir()
        writer.write({"a.pem": PEMS[number], "b.pem": PEMS[number + 1]})
    versions = [({"a.pem": PEMS[0], "b.pem": PEMS[1]}, kids(0, 1)), ({"c.pem": PEMS[4], "d.pem": PEMS[5]}, kids(4, 5))]
    async with serving(tmp_path) as server, polling(server, 1, "/acme") as acme, polling(server, 1, "/beta") as beta:
        for update in range(1, 101):
            payload, wanted = versions[update % 2]
            mounted[0].write(payload)
            await acme.until(wanted)
        assert acme.seen.keys() == {kids(0, 1), kids(4, 5)}
        assert beta.seen.keys() == {kids(2, 3)}


async def test_folders_come_and_go(tmp_path: Path) -> None:
    """While others come, change, are swapped and go, an issuer keeps its bytes and its ETag."""
    for name, number in (("steady", 0), (".version-1", 1), (".version-2", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_bytes(PEMS[number])
    (tmp_path / "moving").symlink_to(".version-1")
    async with serving(tmp_path) as server, polling(server, 1, "/steady") as steady:
        before = await get(server, "/steady" + PATH)
        async with polling(server, 1, "/moving") as moving:
            for turn in range(5):
                number = 2 - turn % 2
                (tmp_path / ".draft").symlink_to(f".version-{number}")
                (tmp_path / ".draft").rename(tmp_path / "moving")
                await moving.until(kids(number))
            assert moving.seen.keys() == {kids(1), kids(2)}
        for number in (4, 5, 6):
            folder = tmp_path / f"new-{number}"
            folder.mkdir()
            assert (await get(server, f"/{folder.name}{PATH}"))[0] == 404
            (folder / "a.pem").write_bytes(PEMS[number])
            await server.log("key-published", issuer=f"/{folder.name}", kid=KIDS[number])
            writers.replace(folder / "b.pem", PEMS[number + 1], temporary="draft")
            await server.log("key-published", issuer=f"/{folder.name}", kid=KIDS[number + 1])
            assert (await get(server, f"/{folder.name}{PATH}"))[0] == 200
            shutil.rmtree(folder)
            await gone(server, f"/{folder.name}{PATH}")
            await server.log("issuer-withdrawn", issuer=f"/{folder.name}")
        assert steady.seen.keys() == {kids(0)}
        assert await get(server, "/steady" + PATH) == before


async def test_log_names_the_issuer(tmp_path: Path) -> None:
    """Lines about a folder's issuer name it; those about the directory's own keys don't."""
    (tmp_path / "a.pem").write_bytes(PEMS[0])
    for name in ("acme", "bad name"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_bytes(PEMS[1])
    async with serving(tmp_path) as server:
        published = [one for one in server.logs if one["event"] == "key-published"]
        assert {one["kid"]: one.get("issuer") for one in published} == {KIDS[0]: None, KIDS[1]: "/acme"}
        (refused,) = [one for one in server.logs if one["event"] == "reload-failed"]
        assert (refused["code"], refused["issuer"]) == ("issuer-name-invalid", "/bad name")
        (tmp_path / "bad name").rename(tmp_path / "good-name")
        await server.log("key-published", issuer="/good-name", kid=KIDS[1])
        gone = {"event": "reload-recovered", "issuer": "/bad name", "code": "issuer-name-invalid"}
        if not any(gone.items() <= one.items() for one in server.logs):  # the two names are two events, in any order
            await server.log(**gone)
        (tmp_path / "acme" / "a.pem").unlink()
        failed = await server.log("reload-failed", issuer="/acme", code="no-keys")
        assert str(tmp_path / "acme") in failed["reason"]
        assert failed["serving"]
        assert (await get(server, "/acme" + PATH))[0] == 200


async def test_metrics_and_status_name_the_issuer(tmp_path: Path) -> None:
    """Each issuer has its own keys and faults there, whatever bytes are in a folder's name."""
    for name, number in (("acme", 0), ("beta", 1), (os.fsdecode(b"\xff"), 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_bytes(PEMS[number])
    async with serving(tmp_path, "--metrics-per-issuer") as server:
        url = f"http://127.0.0.1:{server.admin}"
        async with aiohttp.ClientSession() as session:
            async with session.get(url + "/status") as reply:
                status = await reply.json()
            async with session.get(url + "/metrics") as reply:
                metrics = await reply.text()
    assert status["ready"]
    assert {path: [one["kid"] for one in found["keys"]] for path, found in status["issuers"].items()} == {
        "/acme": [KIDS[0]],
        "/beta": [KIDS[1]],
    }
    ((path, (fault,)),) = status["reload"]["faults"].items()
    assert fault["code"] == "issuer-name-invalid"
    assert path.isascii()
    assert 'issuer="/acme"' in metrics
    assert 'code="issuer-name-invalid"' in metrics


async def test_broken_policy_waits(tmp_path: Path) -> None:
    """An issuer whose policy was wrong from the start is 503 until it is mended; what is missing is named."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "a.pem").write_bytes(PEMS[0])
    (tmp_path / "acme" / "jwks.toml").write_text('issuer = "https://id.example.com/acme"\n')
    async with serving(tmp_path) as server:
        (failed,) = [one for one in server.logs if one["event"] == "reload-failed"]
        assert failed["code"] == "policy-invalid"
        assert "authorization_endpoint, token_endpoint" in failed["reason"]
        assert (await get(server, "/acme" + PATH))[0] == 503
        text = f'issuer = "https://id.example.com/acme"\n[metadata]{METADATA}'
        writers.replace(tmp_path / "acme" / "jwks.toml", text.encode(), temporary="draft")
        await server.log("key-published", issuer="/acme")
        assert (await get(server, "/acme" + PATH))[0] == 200


async def test_discovery(tmp_path: Path) -> None:
    """The documents follow the keys and the policy, with an ETag that changes when they do."""
    for folder, issuer in ((tmp_path, "https://id.example.com"), (tmp_path / "acme", "https://id.example.com/acme")):
        folder.mkdir(exist_ok=True)
        (folder / "a.pem").write_bytes(PEMS[0])
        (folder / "jwks.toml").write_text(f'issuer = "{issuer}"\n[metadata]{METADATA}')
    openid, oauth = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
    async with serving(tmp_path) as server:
        for prefix, paths in (("", (openid, oauth)), ("/acme", ("/acme" + openid, oauth + "/acme"))):
            status, etag, document = await get(server, paths[0])
            assert (status, etag, document) == await get(server, paths[1])
            assert document["issuer"] == "https://id.example.com" + prefix
            assert document["jwks_uri"] == document["issuer"] + PATH
            assert document["id_token_signing_alg_values_supported"] == ["ES256"]
            assert (await get(server, document["jwks_uri"].removeprefix("https://id.example.com")))[0] == 200
        keys_before, before = await get(server, "/acme" + PATH), await get(server, "/acme" + openid)
        (tmp_path / "acme" / "b.pem").write_bytes(public_pem(key("RSA")))
        await server.log("key-published", issuer="/acme", alg="RS256")
        _, changed, document = await get(server, "/acme" + openid)
        assert document["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]
        assert changed != before[1]
        root = await get(server, openid)
        (tmp_path / "acme" / "b.pem").unlink()
        await server.log("key-withdrawn", issuer="/acme")
        assert await get(server, "/acme" + PATH) == keys_before
        assert await get(server, "/acme" + openid) == before
        assert await get(server, openid) == root
        writers.replace(tmp_path / "acme" / "jwks.toml", b"", temporary="draft")
        await gone(server, "/acme" + openid)
        await gone(server, oauth + "/acme")
        assert await get(server, "/acme" + PATH) == keys_before


async def test_restart(tmp_path: Path) -> None:
    """Each issuer's retiring keys and times outlive a restart."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    for name, number in (("acme", 0), ("beta", 2)):
        (keys / name).mkdir(parents=True)
        (keys / name / "a.pem").write_bytes(PEMS[number])
        (keys / name / "b.pem").write_bytes(PEMS[number + 1])
    flags = ("--state", str(state), "--retain", "3600", "--log-level", "debug")
    async with serving(keys, *flags) as server:
        first = {one["kid"]: one["first_published"] for one in server.logs if one["event"] == "key-published"}
        (keys / "acme" / "b.pem").unlink()
        await server.log("key-retiring", issuer="/acme", kid=KIDS[1])
        acme = await get(server, "/acme" + PATH)
    assert json.loads(state.read_bytes())["issuers"].keys() == {"/acme", "/beta"}
    async with serving(keys, *flags) as server:
        assert await get(server, "/acme" + PATH) == acme
        again = {one["kid"]: one["first_published"] for one in server.logs if "first_published" in one}
        assert again == first


@pytest.mark.parametrize("emptied", ["/", "/acme"])
async def test_restart_with_an_emptied_folder(tmp_path: Path, emptied: str) -> None:
    """Keys that are retiring stay published over a restart, though nothing is left in their folder."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    for name, number in (("", 0), ("acme", 1), ("beta", 2)):
        (keys / name).mkdir(parents=True, exist_ok=True)
        (keys / name / "a.pem").write_bytes(PEMS[number])
    flags = ("--state", str(state), "--retain", "3600")
    path = emptied.rstrip("/") + PATH
    async with serving(keys, *flags) as server:
        (keys / emptied.strip("/") / "a.pem").unlink()
        await server.log("key-retiring")
        before = await get(server, path)
    for _ in range(2):
        async with serving(keys, *flags) as server:
            assert await get(server, path) == before
    judged = subprocess.run([SCRIPT, "check", str(keys), *flags, "--json"], check=True, capture_output=True)
    assert [one["verdict"] for one in json.loads(judged.stdout)["issuers"][emptied]["files"]] == ["retiring"]


async def test_kernel_without_watches(tmp_path: Path) -> None:
    """Where the kernel has too few watches for every folder that is said once, and the rescan goes on."""
    for number in range(30):
        (tmp_path / f"issuer-{number}").mkdir()
        (tmp_path / f"issuer-{number}" / "a.pem").write_bytes(PEMS[0])
    limit = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    script = 'echo 20 > /proc/sys/user/max_inotify_watches && exec "$@"'
    if (
        not shutil.which("unshare")
        or subprocess.run([*limit, script, "sh", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this machine lets no one limit the watches")
    async with serving(tmp_path, "--rescan", "0.05", through=[*limit, script, "sh"]) as server:
        for number in (1, 2):
            (tmp_path / "issuer-7" / f"{number}.pem").write_bytes(PEMS[number])
            await server.log("key-published", issuer="/issuer-7", kid=KIDS[number])
        (failed,) = [one for one in server.logs if one["event"] == "watch-failed"]
        assert "fs.inotify.max_user_watches" in failed["reason"]
