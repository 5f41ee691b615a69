"""wait KID URL... through the console."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from edge import answering
from support import HANG_SECONDS, SCRIPT, Running, key, public_pem, run, serving, thumbprint

KID = thumbprint(key("P-256"))
OLD = thumbprint(key("P-256", 1))


class Waiting:
    """A wait in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.stderr = ""

    async def says(self, text: str) -> None:
        """Wait for a line of progress."""
        assert self.process.stderr is not None
        async with asyncio.timeout(HANG_SECONDS):
            while line := (await self.process.stderr.readline()).decode():
                self.stderr += line
                if text in line:
                    return
        raise AssertionError(f"it ended without saying {text}: {self.stderr}")

    async def end(self) -> tuple[int | None, str]:
        """Wait for its end; give its exit code and its output."""
        async with asyncio.timeout(HANG_SECONDS):
            stdout, stderr = await self.process.communicate()
        self.stderr += stderr.decode()
        assert "Traceback" not in self.stderr
        return self.process.returncode, stdout.decode()


@asynccontextmanager
async def waiting(*arguments: str) -> AsyncIterator[Waiting]:
    """Run wait, looking often."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        SCRIPT, "wait", *arguments, "--interval", "0.02", stdout=pipe, stderr=pipe
    )
    try:
        yield Waiting(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def replica(directory: Path, address: str, *pems: bytes, port: int = 0) -> AsyncIterator[tuple[str, Running]]:
    """Serve keys at an address; give the set's URL there."""
    directory.mkdir(exist_ok=True)
    for number, pem in enumerate(pems):
        (directory / f"{number}.pem").write_bytes(pem)
    async with serving(directory, "--bind", f"{address}:{port}", "--max-age", "1") as server:
        listening = await server.log("listening", listener="public")
        yield f"http://{listening['address']}/.well-known/jwks.json", server


async def test_safe_over_three_replicas(tmp_path: Path) -> None:
    """With one of three lagging, it returns when the last one has the key, and its caches' time is over; not before."""
    old, new = public_pem(key("P-256", 1)), public_pem(key("P-256"))
    async with (
        replica(tmp_path / "1", "127.0.0.1", old, new) as (one, _),
        replica(tmp_path / "2", "127.0.0.2", old, new) as (two, _),
        replica(tmp_path / "3", "127.0.0.3", old) as (three, lagging),
        waiting(KID, one, two, three, "--safe", "--propagation", "0.5", "--json") as wait,
    ):
        await wait.says("127.0.0.3: doesn't serve the key")
        (tmp_path / "3" / "new.pem").write_bytes(new)
        log = await lagging.log("key-published", file="new.pem")
        code, output = await wait.end()
    assert (code, "every replica meets the condition" in wait.stderr) == (0, True)
    document = json.loads(output)
    assert [one["serves"] for one in document["replicas"]] == [True, True, True]
    published, since, opened = (
        datetime.fromisoformat(text) for text in (log["first_published"], document["since"], document["opens_at"])
    )
    assert published <= since
    assert (opened - since).total_seconds() == pytest.approx(1.5, abs=0.002)


async def test_a_replica_that_restarts(tmp_path: Path) -> None:
    """One that can't be reached isn't one that serves the key; when it is back it is."""
    async with replica(tmp_path / "1", "127.0.0.1", public_pem(key("P-256"))) as (url, server):
        server.process.terminate()
        await server.end()
        async with waiting(KID, url) as wait:
            await wait.says("can't be fetched")
            port = int(url.split(":")[2].split("/")[0])
            async with replica(tmp_path / "1", "127.0.0.1", port=port):
                assert await wait.end() == (0, f"{KID} is served by 1 of 1 replicas.\n")


async def test_gone(tmp_path: Path) -> None:
    """A removal is waited for."""
    pems = public_pem(key("P-256")), public_pem(key("P-256", 1))
    async with replica(tmp_path / "1", "127.0.0.1", *pems) as (url, _), waiting("--gone", KID, url) as wait:
        await wait.says("serves the key")
        (tmp_path / "1" / "0.pem").unlink()
        assert await wait.end() == (0, f"{KID} is gone from 1 of 1 replicas.\n")


async def test_published_at(tmp_path: Path) -> None:
    """A key that was published long ago is safe at once."""
    async with replica(tmp_path / "1", "127.0.0.1", public_pem(key("P-256"))) as (url, _):
        done = await asyncio.to_thread(run, "wait", KID, url, "--safe", "--published-at", "2026-01-01T00:00:00Z")
    assert (done.returncode, done.stdout) == (0, f"{KID} is safe to sign with, and served by 1 of 1 replicas.\n")


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        ([OLD], "127.0.0.1: doesn't serve the key"),
        ([KID, "--gone"], "127.0.0.1: serves the key"),
        ([KID, "--safe"], "safe only from"),
    ],
)
async def test_timeout(tmp_path: Path, arguments: list[str], mentions: str) -> None:
    """When the time is over, each replica that is not as wanted is named, and the exit code is 1."""
    async with replica(tmp_path / "1", "127.0.0.1", public_pem(key("P-256"))) as (url, _):
        done = await asyncio.to_thread(run, "wait", *arguments, url, "--timeout", "0.5")
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert mentions in last
    assert "[wait-timeout]" in last


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Accept connections, and never answer; give the URL."""
    over = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        over.set()


async def test_one_that_hangs_hides_no_other() -> None:
    """What one answers is said while another is silent; so is the silence, and at the end both are named."""
    async with silent() as hanging, answering(b'{"keys":[]}') as url:
        async with waiting(KID, hanging, url) as wait:
            await wait.says("127.0.0.1: doesn't serve the key")
            await wait.says(f"{hanging} at 127.0.0.1: has not answered yet")
        done = await asyncio.to_thread(run, "wait", KID, hanging, url, "--timeout", "1", "--json")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert (f"{hanging} at 127.0.0.1: has not answered yet" in last, f"{url} at 127.0.0.1: doesn't" in last) == (
        True,
        True,
    )
    assert {one["url"]: one["serves"] for one in json.loads(done.stdout)["replicas"]} == {hanging: None, url: False}


async def test_one_that_falls_silent() -> None:
    """A replica that answered before, and hangs until the time is over, is named with both."""
    asked = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        if not asked.is_set():
            asked.set()
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}')
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(once, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with waiting(KID, url, "--timeout", "2") as wait:
            assert (await wait.end())[0] == 1
    assert "127.0.0.1: doesn't serve the key, and has not answered since. [wait-timeout]" in wait.stderr


def test_a_name_that_hangs() -> None:
    """A resolver that never answers doesn't keep the program beyond its time; the URL is named."""
    program = (
        "import socket, sys, threading\n"
        "from jwks_server import __main__\n"
        "socket.getaddrinfo = lambda *_, **__: threading.Event().wait()\n"
        "sys.argv = ['jwks-server', 'wait', 'kid', 'http://keys.internal/', '--timeout', '0.5']\n"
        "__main__.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "http://keys.internal/: has not answered yet. [wait-timeout]" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("kid", ["-Pq6PhxH8wTfy4xvXCyXQBNrPPiGxnDMgMdF1ohH0Zg", "--Pq6PhxH8wTfy4xvXCyXQBN"])
@pytest.mark.parametrize("flags", [(), ("--gone",)])
async def test_a_kid_that_begins_with_a_dash(kid: str, flags: tuple[str, ...]) -> None:
    """A thumbprint may begin with a dash, and hold any letter; it is no option."""
    keys = [] if flags else [{"kid": kid}]
    async with answering(json.dumps({"keys": keys}).encode()) as url:
        done = await asyncio.to_thread(run, "wait", *flags, kid, url, "--timeout", "20")
    assert (done.returncode, done.stdout.startswith(f"{kid} is ")) == (0, True)


def test_short_help() -> None:
    """-h stays what it is everywhere."""
    assert run("wait", "-h").stdout == run("wait", "--help").stdout != ""


async def test_what_is_no_set_is_no_replica() -> None:
    """An answer that is no JWK Set is told, and waited on."""
    async with answering(b"<html>") as url:
        done = await asyncio.to_thread(run, "wait", KID, url, "--timeout", "0.5", "--json")
    assert done.returncode == 1
    (found,) = json.loads(done.stdout)["replicas"]
    assert (found["serves"], "JSON" in found["reason"]) == (None, True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
async def test_interrupted(number: signal.Signals, code: int) -> None:
    """Ctrl-C is exit code 130 and no traceback; what ends it is never taken for a yes."""
    async with answering(b'{"keys":[]}') as url, waiting(KID, url) as wait:
        await wait.says("doesn't serve the key")
        wait.process.send_signal(number)
        assert await wait.end() == (code, "")


async def test_a_bar_on_a_terminal() -> None:
    """On a terminal the replicas and the time that is left are shown in a bar."""
    async with answering(b'{"keys":[]}') as url:
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(SCRIPT, "wait", KID, url, "--timeout", "1", stderr=theirs)
        os.close(theirs)
        shown = await asyncio.to_thread(drain, ours)
        assert await process.wait() == 1
    assert b"0 of 1 replicas, giving up in 0:0" in shown
    assert b"; missing: 127.0.0.1" in shown


def drain(descriptor: int) -> bytes:
    """Read a terminal until the other side closes it."""
    shown = b""
    try:
        while data := os.read(descriptor, 4096):
            shown += data
    except OSError:  # how a closed terminal reads
        pass
    finally:
        os.close(descriptor)
    return shown


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        ([], "KID"),
        (["kid"], "URL"),
        (["kid", "not-a-url"], "not-a-url"),
        (["kid", "http://a/", "--gone", "--safe"], "--gone"),
        (["kid", "http://a/", "--published-at", "2026-01-01T00:00:00Z"], "--published-at"),
        (["kid", "http://a/", "--safe", "--published-at", "yesterday"], "yesterday"),
        (["kid", "http://a/", "--safe", "--published-at", "2026-01-01T00:00:00"], "offset"),
        (["kid", "http://a/", "--safe", "--published-at", "9999-12-31T23:59:59Z"], "9999"),
        (["kid", "http://[fe80::1%25eth0]/"], "zone"),
        (["kid", "http://a/", "--time-out", "5"], "--time-out"),
        (["kid", "http://a/", "--timeout", "0"], "--timeout"),
        (["kid", "http://a/", "--interval", "nan"], "nan"),
    ],
)
def test_wrong_usage(arguments: list[str], mentions: str) -> None:
    """Called wrongly it says how, in one line."""
    done = run("wait", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert mentions in done.stderr
    assert "[config-invalid]" in done.stderr


async def test_what_could_not_be_reached_is_told_once() -> None:
    """The sentence has the URL once, and the system's words instead of the library's."""
    url = "http://127.0.0.1:1/jwks"
    for seconds in ("0.3", "3", "30"):  # a busy machine may not even have asked when the time is over
        done = await asyncio.to_thread(run, "wait", KID, url, "--timeout", seconds, "--interval", "0.01")
        last = done.stderr.splitlines()[-1]
        if "has not answered yet" not in last:
            break
    assert done.returncode == 1
    assert (last.count(url), "ssl:" in last, "Connection refused" in last) == (1, False, True)
    assert last.endswith("[wait-timeout]")


async def test_https_from_a_server_without_tls() -> None:
    """OpenSSL's words are put into a sentence, without the place in its source."""
    async with answering(b"{}") as url:
        done = await asyncio.to_thread(run, "wait", KID, url.replace("http", "https"), "--timeout", "0.3")
    assert "doesn't answer with TLS" in done.stderr
    assert "_ssl.c" not in done.stderr
