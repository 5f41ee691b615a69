"""The running program: directories, signals, shutdown."""

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sites import read_reply, statuses
from support import HANG_SECONDS, ROOT, SCRIPT, Running, certificate_pem, certify, key, public_pem, serving


async def get(server: Running) -> list[dict[str, Any]]:
    """Fetch the keys."""
    async with aiohttp.ClientSession() as session, session.get(server.url) as reply:
        assert reply.status == 200
        keys: list[dict[str, Any]] = (await reply.json())["keys"]
        return keys


async def status(server: Running) -> int:
    """Fetch the status alone."""
    async with aiohttp.ClientSession() as session, session.get(server.url) as reply:
        return reply.status


async def test_sample_keys_give_the_documented_payload() -> None:
    """The sample keys are served as the endpoint's documentation shows them: same keys, values and order."""
    async with serving(ROOT / "sample_keys") as server:
        keys = await get(server)
    assert [(one["kid"], one["kty"], one["alg"], one["use"], one["e"]) for one in keys] == [
        ("7Ow7Aw8-r2Lq2sy0fyIdC52320pdfrRlMs6HTEYTrmo", "RSA", "RS256", "sig", "AQAB"),
        ("64c2sxeU0xhZSilsIgegqZSv4sNa3JFkx8J07wMZ3Lw", "RSA", "RS256", "sig", "AQAB"),
    ]
    documented = json.loads((ROOT / "tests" / "data" / "documented.json").read_text())
    assert keys == documented["keys"]
    assert all(one.keys() == {"e", "n", "kty", "kid", "alg", "use"} for one in keys)


async def test_files_come_change_and_go(tmp_path: Path) -> None:
    """Added, changed and removed files show in the answer, each with a log line."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        (tmp_path / "b.pem").write_bytes(public_pem(key("P-256")))
        await server.log("key-published", file="b.pem", alg="ES256")
        assert [one["kty"] for one in await get(server)] == ["RSA", "EC"]
        (tmp_path / "b.pem").write_bytes(public_pem(key("P-384")))
        await server.log("key-withdrawn", file="b.pem", alg="ES256")
        assert {one["alg"] for one in await get(server)} >= {"RS256", "ES384"}
        (tmp_path / "b.pem").unlink()
        await server.log("key-withdrawn", file="b.pem", alg="ES384")
        assert [one["alg"] for one in await get(server)] == ["RS256"]


async def test_refused_file_is_logged_once(tmp_path: Path) -> None:
    """A bad file is one log line with file, code and reason, and costs no good key."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "bad.pem").write_bytes(b"nonsense")
    async with serving(tmp_path, "--rescan", "0.02") as server:
        (tmp_path / "b.pem").write_bytes(public_pem(key("P-256")))
        await server.log("key-published", file="b.pem")
        assert len(await get(server)) == 2
        (tmp_path / "b.pem").unlink()
        await server.log("key-withdrawn", file="b.pem")
    refused = [one for one in server.logs if one["event"] == "file-refused"]
    assert [(one["file"], one["code"], one["level"]) for one in refused] == [("bad.pem", "pem-missing", "error")]


@pytest.mark.parametrize("missing", [True, False])
async def test_starts_without_keys(tmp_path: Path, *, missing: bool) -> None:
    """An empty or missing directory is said, answered with 503, and served as soon as keys appear."""
    directory = tmp_path / "keys"
    if not missing:
        directory.mkdir()
    async with serving(directory) as server:
        code = "directory-missing" if missing else "no-keys"
        assert [one["code"] for one in server.logs if one["event"] == "reload-failed"] == [code]
        assert await status(server) == 503
        directory.mkdir(exist_ok=True)
        (directory / "a.pem").write_bytes(public_pem(key("RSA")))
        await server.log("key-published", file="a.pem")
        assert len(await get(server)) == 1


async def test_last_key_is_held_back(tmp_path: Path) -> None:
    """A change that would leave no key keeps the last set, with an error; it recovers by itself."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        (tmp_path / "a.pem").unlink()
        await server.log("reload-failed", code="no-keys", level="error", serving=True)
        assert len(await get(server)) == 1
        (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
        await server.log("reload-recovered")


async def test_allow_empty(tmp_path: Path) -> None:
    """With --allow-empty the last key goes too."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--allow-empty") as server:
        (tmp_path / "a.pem").unlink()
        await server.log("key-withdrawn", file="a.pem")
        assert await get(server) == []


async def test_missing_directory_is_never_an_empty_set(tmp_path: Path) -> None:
    """Not even with --allow-empty does a directory that is gone withdraw a key."""
    directory = tmp_path / "keys"
    directory.mkdir()
    (directory / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(directory, "--allow-empty") as server:
        directory.rename(tmp_path / "moved")
        await server.log("reload-failed", code="directory-missing")
        assert len(await get(server)) == 1


async def test_sighup_reads_again(tmp_path: Path) -> None:
    """SIGHUP re-reads at once, where no event and no rescan would come."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    outside = tmp_path.parent / f"{tmp_path.name}-outside.pem"
    outside.write_bytes(public_pem(key("P-256")))
    (tmp_path / "b.pem").symlink_to(outside)
    async with serving(tmp_path, "--rescan", "3600") as server:
        outside.write_bytes(public_pem(key("P-384")))
        server.process.send_signal(signal.SIGHUP)
        await server.log("key-published", file="b.pem", alg="ES384")
        assert {one["alg"] for one in await get(server)} >= {"RS256", "ES384"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the process with exit code 0, an idle connection open or not."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        server.process.send_signal(number)
        assert await server.end() == 0
        assert server.logs[-1]["event"] == "stopped"
        writer.close()


async def test_sighup_before_anything_else_does_not_kill(tmp_path: Path) -> None:
    """A SIGHUP right after the start, and many of them, are survived."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server:
        for _ in range(50):
            server.process.send_signal(signal.SIGHUP)
        assert len(await get(server)) == 1


async def test_certificates_and_passphrases(tmp_path: Path) -> None:
    """tls.crt is a key file by default; tls.key is not."""
    (tmp_path / "tls.crt").write_bytes(certificate_pem(certify(key("P-256"))))
    (tmp_path / "tls.key").write_bytes(b"nonsense")
    async with serving(tmp_path) as server:
        (only,) = await get(server)
        assert len(only["x5c"]) == 1
    assert not [one for one in server.logs if one["event"] == "file-refused"]


async def test_several_listeners(tmp_path: Path) -> None:
    """--bind repeats; each listener's real address is logged, and each answers."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--bind", "127.0.0.2:0") as server:
        second = await server.log("listening")
        host, _, port = second["address"].rpartition(":")
        assert host == "127.0.0.2"
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}/.well-known/jwks.json") as reply,
        ):
            assert reply.status == 200


async def test_ipv6(tmp_path: Path) -> None:
    """[::1] is listened on and logged in brackets."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with serving(tmp_path, "--bind", "[::1]:0") as server:
        assert (await server.log("listening"))["address"].startswith("[::1]:")


async def test_address_in_use(tmp_path: Path) -> None:
    """A taken address is one sentence with its code, and exit code 1."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(SCRIPT, "serve", str(tmp_path), "--bind", f"127.0.0.1:{port}"),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(HANG_SECONDS):
            _, stderr = await process.communicate()
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith(b"jwks-server: 127.0.0.1:%d can't be listened on" % port)
    assert stderr.endswith(b"[listen-failed]\n")
    assert b"Traceback" not in stderr


async def test_dead_background_task_ends_the_process(tmp_path: Path) -> None:
    """When the directory can no longer be followed the process ends with an exit code, and says why."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    program = (
        "import jwks_server.service as service, jwks_server.cli as cli, sys\n"
        "async def watch(*_):\n"
        "    yield service.Trigger.EVENT\n"
        "service.watch = watch\n"
        f"sys.argv = ['jwks-server', 'serve', {str(tmp_path)!r}, '--bind', '127.0.0.1:0']\n"
        "cli.main()\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(HANG_SECONDS):
        _, stderr = await process.communicate()
    assert process.returncode == 1
    assert b"[task-died]" in stderr
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """It cuts the drain and what is open, and the log says how many connections that were."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--drain", "3600", "--shutdown-timeout", "3600") as server:
        streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        for _, writer in streams:
            writer.write(b"GET /.well-known/jwks.json HTTP/1.1\r\n")
        assert len(await get(server)) == 1  # so the others have been accepted
        server.process.send_signal(number)
        await server.log("stopping")
        server.process.send_signal(number)
        assert await server.end() == 0
        cut = next(one for one in server.logs if one["event"] == "stopping-at-once")
        assert cut["connections"] >= 3
        assert server.logs[-1]["event"] == "stopped"
        for _, writer in streams:
            writer.close()


async def test_a_second_signal_cuts_the_wait_for_connections(tmp_path: Path) -> None:
    """Also after the drain, when only open requests are waited for."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--shutdown-timeout", "3600", "--head-timeout", "3600") as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /.well-known/jwks.json HTTP/1.1\r\n")
        assert len(await get(server)) == 1
        server.process.send_signal(signal.SIGTERM)
        await server.log("stopping")
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0
        writer.close()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
async def test_user_signals_do_not_kill(tmp_path: Path, number: signal.Signals) -> None:
    """SIGUSR1 and SIGUSR2 mean nothing, and are logged at debug."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, "--log-level", "DEBUG") as server:
        server.process.send_signal(number)
        await server.log("signal-ignored", signal=number.name, level="debug")
        assert len(await get(server)) == 1


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_pause_of_the_process_loses_no_request(tmp_path: Path, loop: str) -> None:
    """A request that waited in its socket while the process was stopped is answered, though a deadline has passed."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    request = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(tmp_path, "--loop", loop, "--idle-timeout", "2", "--head-timeout", "2") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        await read_reply(reader)
        server.process.send_signal(signal.SIGSTOP)
        writer.write(request)
        await asyncio.sleep(2.5)  # the pause itself, longer than the deadline: there is no event to wait for
        server.process.send_signal(signal.SIGCONT)
        assert statuses(await read_reply(reader)) == [200]
        writer.close()
