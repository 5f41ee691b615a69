"""Every address behind a name is asked, by that name."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from support import certificate_pem, certify, key, private_pem
from yarl import URL

from jwks_server.remote.gate import Replica, ReplicaAnswer
from jwks_server.remote.replicas import Replicas


class Served:
    """Three replicas on one port, and what each was asked."""

    def __init__(self) -> None:
        self.kids = {f"127.0.0.{number}": ["old"] for number in (1, 2, 3)}
        self.addresses = list(self.kids)
        self.asked: list[tuple[str, str | None, int]] = []
        self.port = 0
        self.max_age = 60

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the replica at the address would."""
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        kids = self.kids[address]
        tag = f'"{"-".join(kids)}"'
        status = 304 if request.headers.get("If-None-Match") == tag else 200
        self.asked.append((address, request.host, status))
        body = json.dumps({"keys": [{"kid": kid} for kid in kids]}) if status == 200 else None
        return web.Response(text=body, status=status, headers={"ETag": tag, "Cache-Control": f"max-age={self.max_age}"})

    def getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[Any]:
        """Resolve as a headless Service does."""
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        assert host == "keys.internal"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


@pytest_asyncio.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Serve on 127.0.0.1 to 127.0.0.3, which are all addresses of keys.internal."""
    served = Served()
    app = web.Application()
    app.router.add_get("/keys", served.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    for address in served.kids:
        site = web.TCPSite(runner, address, served.port)
        await site.start()
        served.port = runner.addresses[0][1]
    monkeypatch.setattr(socket, "getaddrinfo", served.getaddrinfo)
    yield served
    await runner.cleanup()


def replicas(served: Served, kid: str = "new") -> Replicas:
    """Ask by the name."""
    return Replicas(kid, [URL(f"http://keys.internal:{served.port}/keys")])


async def test_all_addresses_by_their_name(served: Served) -> None:
    """Each address behind the name is asked once a round, with the name in the Host header."""
    served.kids["127.0.0.2"] = ["old", "new"]
    answers = await replicas(served).ask()
    assert {replica.address: sight.serves for replica, sight in answers.items()} == {
        "127.0.0.1": False,
        "127.0.0.2": True,
        "127.0.0.3": False,
    }
    assert {sight.max_age for sight in answers.values()} == {60}
    assert sorted(served.asked) == [(address, f"keys.internal:{served.port}", 200) for address in served.addresses]


async def test_what_is_known_is_not_sent_again(served: Served) -> None:
    """In the next round a replica is asked for what has changed; 304 counts as what it answered before."""
    asking = replicas(served, "old")
    assert all(sight.serves for sight in (await asking.ask()).values())
    served.kids["127.0.0.3"] = ["new"]
    served.asked.clear()
    answers = await asking.ask()
    assert {address: status for address, _, status in served.asked} == {
        "127.0.0.1": 304,
        "127.0.0.2": 304,
        "127.0.0.3": 200,
    }
    assert {replica.address: sight.serves for replica, sight in answers.items()} == {
        "127.0.0.1": True,
        "127.0.0.2": True,
        "127.0.0.3": False,
    }


async def test_what_is_not_sent_again_may_be_kept_longer(served: Served) -> None:
    """A 304 says anew how long the answer may be kept (RFC 9111 section 4.3.4)."""
    asking = replicas(served, "old")
    served.max_age = 2
    assert {sight.max_age for sight in (await asking.ask()).values()} == {2}
    served.max_age = 3600
    assert {sight.max_age for sight in (await asking.ask()).values()} == {3600}
    assert {status for _, _, status in served.asked[-3:]} == {304}


async def test_names_are_resolved_anew(served: Served) -> None:
    """An address that appears is asked, one that is gone isn't; a name without any is one replica without answer."""
    asking = replicas(served)
    served.addresses = ["127.0.0.1"]
    assert [replica.address for replica in await asking.ask()] == ["127.0.0.1"]
    served.addresses = ["127.0.0.2", "127.0.0.3"]
    assert sorted(replica.address for replica in await asking.ask()) == ["127.0.0.2", "127.0.0.3"]
    served.addresses = []
    ((replica, sight),) = (await asking.ask()).items()
    assert (replica.address, sight.serves) == ("", None)
    assert "doesn't resolve" in sight.reason


async def test_one_that_is_down(served: Served) -> None:
    """A connection that is refused is no answer, and says which address."""
    served.addresses = ["127.0.0.1", "127.0.0.9"]
    answers = {replica.address: sight for replica, sight in (await replicas(served, "old").ask()).items()}
    assert answers["127.0.0.1"].serves is True
    assert answers["127.0.0.9"].serves is None
    assert "can't be fetched" in answers["127.0.0.9"].reason


async def test_tls_by_the_name(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address must show the certificate of the name in the URL; one for another name is no answer."""
    root = certify(key("P-256"), name="root", ca=True)
    (tmp_path / "root.pem").write_bytes(certificate_pem(root))
    async with AsyncExitStack() as servers:
        port = 0
        for address, name in (("127.0.0.1", "keys.internal"), ("127.0.0.2", "other.internal")):
            leaf = certify(key("P-256", 1), (root, key("P-256")), name=name, dns=name)
            (tmp_path / "leaf.pem").write_bytes(private_pem(key("P-256", 1)) + certificate_pem(leaf))
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tmp_path / "leaf.pem")
            app = web.Application()
            app.router.add_get("/keys", served.answer)
            runner = web.AppRunner(app)
            await runner.setup()
            servers.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, address, port, ssl_context=context).start()
            port = runner.addresses[0][1]
        served.addresses = ["127.0.0.1", "127.0.0.2"]
        trusting = ssl.create_default_context(cafile=tmp_path / "root.pem")
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
        answers = await Replicas("old", [URL(f"https://keys.internal:{port}/keys")]).ask()
    by_address = {replica.address: sight for replica, sight in answers.items()}
    assert by_address["127.0.0.1"] == ReplicaAnswer(serves=True, max_age=60)
    assert by_address["127.0.0.2"].serves is None
    assert "Hostname mismatch" in by_address["127.0.0.2"].reason


async def test_hung_replicas_hold_no_others_up() -> None:
    """Replicas are asked at the same time: what one answers is there while another is silent."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await asked.wait()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"keys":[{"kid":"old"}]}')
        await writer.drain()
        writer.close()

    async def quick(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}')
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(silent, "127.0.0.1") as one,
        await asyncio.start_server(quick, "127.0.0.1") as two,
    ):
        urls = [URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/") for server in (one, two)]
        answers = await Replicas("old", urls).ask()
    assert answers == {
        Replica(str(urls[0]), "127.0.0.1"): ReplicaAnswer(serves=True),
        Replica(str(urls[1]), "127.0.0.1"): ReplicaAnswer(serves=False),
    }
