"""TLS on the public listener: handshakes, their deadline, and certificates that change."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sites import GET, read_reply, statuses
from support import (
    HANG_SECONDS,
    SCRIPT,
    Running,
    certificate_pem,
    certify,
    key,
    private_pem,
    public_pem,
    raw,
    serving,
)

from jwks_server.serving import certificate

_LAST = GET[:-2] + b"Connection: close\r\n\r\n"


def install(directory: Path, number: int) -> x509.Certificate:
    """Put a new pair in place, as most tools do: one file, then the other."""
    private = key("P-256", number)
    made = certify(private, name="localhost")
    for name, data in (("tls.pem", certificate_pem(made)), ("tls.key", private_pem(private))):
        (directory / f"{name}.new").write_bytes(data)
        (directory / f"{name}.new").rename(directory / name)
    return made


@asynccontextmanager
async def secured(tmp_path: Path, *flags: str) -> AsyncIterator[tuple[Running, Path]]:
    """Serve one key over TLS."""
    for name in ("keys", "tls"):
        (tmp_path / name).mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
    files = tmp_path / "tls"
    install(files, 0)
    pair = ("--tls-cert", str(files / "tls.pem"), "--tls-key", str(files / "tls.key"))
    async with serving(tmp_path / "keys", *pair, *flags) as server:
        yield server, files


def context() -> ssl.SSLContext:
    """Trust anyone: the test looks at the certificate itself."""
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return trusting


async def shown(server: Running) -> bytes:
    """Ask once on a new connection, and tell which certificate was shown."""
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context())
        chain: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(_LAST)
        assert statuses(await reader.read()) == [200]
        writer.close()
        return chain


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_requests_over_tls(tmp_path: Path, loop: str) -> None:
    """Requests are answered as without TLS: kept, pipelined, split, refused."""
    async with secured(tmp_path, "--loop", loop) as (server, _), asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context())
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        for _ in range(3):
            writer.write(GET)
            assert statuses(await read_reply(reader)) == [200]
        writer.write(GET * 40 + GET[:20])
        for _ in range(40):
            assert statuses(await read_reply(reader)) == [200]
        writer.write(GET[20:] + b"GET / HTTP/2.0\r\n\r\n")
        assert statuses(await read_reply(reader)) == [200]
        assert statuses(await read_reply(reader)) == [505]
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_hello_in_the_first_packet(tmp_path: Path, loop: str) -> None:
    """Clients that send their hello the moment they are connected are all heard, however many come at once."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context().wrap_bio(into, out).do_handshake()
    hello = out.read()
    async with secured(tmp_path, "--loop", loop, "--handshake-timeout", "5") as (server, _):
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=HANG_SECONDS) for _ in range(200)]
        for client in clients:
            client.sendall(hello)
        for client in clients:
            assert client.recv(1) == b"\x16"
            client.close()


async def test_old_versions_are_refused(tmp_path: Path) -> None:
    """TLS 1.1 is not spoken; TLS 1.2 is."""
    async with secured(tmp_path) as (server, _):
        for flag, spoken in (("-tls1_1", False), ("-tls1_2", True)):
            process = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", flag, "-cipher", "ALL:@SECLEVEL=0"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(HANG_SECONDS):
                told, _ = await process.communicate()
            assert (process.returncode == 0) is spoken, told


async def test_rotation_under_load(tmp_path: Path) -> None:
    """A new pair is shown to new connections; none fails, and those that are open go on."""
    async with secured(tmp_path) as (server, files), asyncio.timeout(HANG_SECONDS):
        done = asyncio.Event()

        async def reconnect() -> None:
            while not done.is_set():
                await shown(server)

        async def ask_again() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context())
            while not done.is_set():
                writer.write(GET)
                assert statuses(await read_reply(reader)) == [200]
            writer.close()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(ask_again())
                tasks.create_task(reconnect())
            for number in (1, 2):
                new = install(files, number)
                await server.log("tls-reloaded")
                while x509.load_der_x509_certificate(await shown(server)) != new:
                    await asyncio.sleep(0)
            done.set()


async def test_bad_pair_leaves_the_last_good_one(tmp_path: Path) -> None:
    """A pair that doesn't match is reported once, and the last good one stays; the next good one is taken up."""
    async with secured(tmp_path) as (server, files):
        before = await shown(server)
        (files / "tls.key").write_bytes(private_pem(key("P-256", 5)))
        entry = await server.log("tls-failed", code="tls-invalid")
        assert "tls.key" in entry["reason"]
        assert await shown(server) == before
        new = install(files, 6)
        await server.log("tls-reloaded")
        assert x509.load_der_x509_certificate(await shown(server)) == new
    assert len([one for one in server.logs if one["event"] == "tls-failed"]) <= 2  # between the two renames


async def test_slow_handshakes(tmp_path: Path) -> None:
    """A handshake has a deadline, and data that is not TLS ends it; both are counted, and neither logs a traceback."""
    async with secured(tmp_path, "--handshake-timeout", "0.2") as (server, _), asyncio.timeout(HANG_SECONDS):
        for sent in (b"", b"\x16\x03\x01", GET):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            with suppress(ConnectionResetError):
                await reader.read()
            writer.close()
        await shown(server)
    assert b"Traceback" not in server.stderr
    assert not [one for one in server.logs if one["level"] == "error"]


@pytest.mark.parametrize("wrong", ["missing", "mismatch", "encrypted", "nonsense"])
async def test_bad_pair_at_start(tmp_path: Path, wrong: str) -> None:
    """A pair that can't be used from the start is one sentence with its code, and exit code 1."""
    install(tmp_path, 0)
    match wrong:
        case "missing":
            (tmp_path / "tls.key").unlink()
        case "mismatch":
            (tmp_path / "tls.key").write_bytes(private_pem(key("P-256", 9)))
        case "encrypted":
            (tmp_path / "tls.key").write_bytes(private_pem(key("P-256", 0), encrypted=True))
        case _:
            (tmp_path / "tls.pem").write_bytes(b"nonsense")
    process = await asyncio.create_subprocess_exec(
        *(SCRIPT, "serve", str(tmp_path), "--bind", "127.0.0.1:0"),
        *("--tls-cert", str(tmp_path / "tls.pem"), "--tls-key", str(tmp_path / "tls.key")),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(HANG_SECONDS):
        _, stderr = await process.communicate()
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith(b"jwks-server: ")
    assert stderr.endswith(b"[tls-invalid]\n")
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_evicted_handshakes_leave_nothing(tmp_path: Path, loop: str) -> None:
    """Silent clients beyond the ceiling are cut, the newest is served, and in the end none is left."""
    async with (
        secured(tmp_path, "--max-connections", "5", "--loop", loop) as (server, _),
        asyncio.timeout(HANG_SECONDS),
    ):
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
        await shown(server)
        for one in silent:
            one.close()
        url = f"http://127.0.0.1:{server.admin}/metrics"
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(url) as reply:
                    text = await reply.text()
                if "jwks_server_connections_open 0.0" in text:
                    break
        assert "jwks_server_connections_evicted_total 4.0" in text


async def test_handshake_in_progress_at_the_end(tmp_path: Path) -> None:
    """A client amid its handshake when SIGTERM comes gets its answer."""
    async with secured(tmp_path) as (server, _), asyncio.timeout(HANG_SECONDS):
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        channel = context().wrap_bio(into, out)
        idle = await asyncio.open_connection("127.0.0.1", server.port, ssl=context())
        idle[1].write(GET)
        await read_reply(idle[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with suppress(ssl.SSLWantReadError):
            channel.do_handshake()
        writer.write(out.read())
        into.write(await reader.read(1 << 16))
        server.process.terminate()
        await server.log("stopping")
        assert await idle[0].read() == b""  # the last call of those without a request is over
        idle[1].close()
        channel.do_handshake()
        channel.write(GET)
        writer.write(out.read())
        plain = b""
        while b"]}" not in plain:
            into.write(await reader.read(1 << 16))
            with suppress(ssl.SSLWantReadError):
                plain += channel.read(1 << 16)
        assert statuses(plain) == [200]
        writer.close()
        assert await server.end() == 0


async def test_files_that_are_none(tmp_path: Path) -> None:
    """A FIFO in the place of a key holds up neither the keys nor the next good pair."""
    async with secured(tmp_path) as (server, files), asyncio.timeout(HANG_SECONDS):
        (files / "tls.key").unlink()
        os.mkfifo(files / "tls.key")
        server.process.send_signal(signal.SIGHUP)
        await server.log("tls-failed", code="tls-invalid")
        (tmp_path / "keys" / "b.pem").write_bytes(public_pem(key("P-256")))
        await server.log("key-published", file="b.pem")
        new = install(files, 3)
        await server.log("tls-reloaded")
        assert x509.load_der_x509_certificate(await shown(server)) == new


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_unencrypted_requests(tmp_path: Path, loop: str) -> None:
    """A request without TLS gets one unencrypted 400 that says what to do; one to HEAD has no body."""
    async with secured(tmp_path, "--loop", loop) as (server, _):
        reply = await raw(server.port, GET)
        assert statuses(reply) == [400]
        assert b"https://" in reply.partition(b"\r\n\r\n")[2]
        assert statuses(await raw(server.port, b"H", b"EAD / HTTP/1.1\r\n\r\n")) == [400]
        assert (await raw(server.port, GET.replace(b"GET", b"HEAD"))).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("protocols", "spoken"), [(["h2"], False), (["h2", "http/1.1"], True), (["http/1.0"], True)])
async def test_application_protocols(tmp_path: Path, protocols: list[str], spoken: bool) -> None:
    """A client that speaks no protocol of ours is told so by TLS."""
    client = context()
    client.set_alpn_protocols(protocols)
    async with secured(tmp_path) as (server, _), asyncio.timeout(HANG_SECONDS):
        if spoken:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=client)
            assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == protocols[-1]
            writer.close()
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                await asyncio.open_connection("127.0.0.1", server.port, ssl=client)


@pytest.mark.parametrize(
    ("suite", "spoken"),
    [("ECDHE-ECDSA-AES128-SHA", False), ("ECDHE-ECDSA-AES128-SHA256", False), ("ECDHE-ECDSA-AES128-GCM-SHA256", True)],
)
async def test_suites_of_tls_1_2(tmp_path: Path, suite: str, spoken: bool) -> None:
    """No CBC suite is spoken in TLS 1.2."""
    client = context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(suite)
    async with secured(tmp_path) as (server, _), asyncio.timeout(HANG_SECONDS):
        if spoken:
            assert statuses(await raw(server.port, _LAST, tls=client)) == [200]
        else:
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection("127.0.0.1", server.port, ssl=client)


class HalfClosing:
    """A client whose side of TLS can be closed before the server's."""

    def __init__(self, port: int, session: ssl.SSLSession | None = None, client: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS)
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (client or context()).wrap_bio(self.into, self.out, session=session)
        while not self.flush(self.tls.do_handshake):
            self.into.write(self.socket.recv(1 << 16))

    def flush(self, step: Callable[[], object]) -> bool:
        """Take a step, and send what comes of it; tell whether it was complete."""
        try:
            step()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.socket.sendall(self.out.read())
        return True

    def read(self) -> bytes:
        """Read to the end of the server's side."""
        plain = b""
        while True:
            try:
                data = self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                received = self.socket.recv(1 << 16)
                assert received
                self.into.write(received)
                continue
            except ssl.SSLZeroReturnError:
                return plain
            if not data:
                return plain
            plain += data


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_half_closed_clients(tmp_path: Path, loop: str, version: ssl.TLSVersion) -> None:
    """A client that closes its side of TLS gets every answer to what it sent, and the server's own close."""
    trusting = context()
    trusting.maximum_version = trusting.minimum_version = version
    async with secured(tmp_path, "--loop", loop) as (server, _):
        for _ in range(2):
            client = await asyncio.to_thread(HalfClosing, server.port, None, trusting)
            client.tls.write(GET * 100 + GET[:20])
            client.flush(client.tls.unwrap)
            assert statuses(await asyncio.to_thread(client.read)) == [200] * 100
            client.socket.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tickets_survive_a_reload(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A session that began before a reload is resumed after it, more than once; a key of another kind begins anew."""
    trusting = context()
    trusting.minimum_version = trusting.maximum_version = version

    def ask(port: int, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
        client = HalfClosing(port, session, trusting)
        client.flush(lambda: client.tls.write(_LAST))
        assert statuses(client.read()) == [200]
        client.socket.close()
        return client.tls.session, bool(client.tls.session_reused)

    async with secured(tmp_path) as (server, files):
        session, resumed = await asyncio.to_thread(ask, server.port, None)
        assert not resumed
        new = install(files, 4)
        await server.log("tls-reloaded")
        assert x509.load_der_x509_certificate(await shown(server)) == new
        for _ in range(3):  # in TLS 1.3 each gets the ticket for the next one
            session, resumed = await asyncio.to_thread(ask, server.port, session)
            assert resumed
        private = key("RSA", 4)
        (files / "tls.pem").write_bytes(certificate_pem(certify(private, name="localhost")))
        (files / "tls.key").write_bytes(private_pem(private))
        async with asyncio.timeout(HANG_SECONDS):
            while isinstance(
                x509.load_der_x509_certificate(await shown(server)).public_key(), ec.EllipticCurvePublicKey
            ):
                await asyncio.sleep(0.01)
        assert not (await asyncio.to_thread(ask, server.port, session))[1]


def resumes(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
    """Shake hands in memory; return the session for the next time, or None where this one was not resumed."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(inward, outward, server_side=True)
    theirs = client.wrap_bio(outward, inward, session=session)
    for one in (theirs, ours, theirs, ours, theirs):
        with suppress(ssl.SSLWantReadError):
            one.do_handshake()
    ours.write(b"x")
    assert theirs.read(1) == b"x"
    return theirs.session if theirs.session_reused or session is None else None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_context_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion) -> None:
    """A context is used for a day; then its keys of session tickets are gone, and the certificate is the same."""
    install(tmp_path, 0)
    client = context()
    client.minimum_version = client.maximum_version = version
    one = certificate.Certificate(str(tmp_path / "tls.pem"), str(tmp_path / "tls.key"))
    first = one.context
    following = asyncio.create_task(one.follow())
    async with asyncio.timeout(HANG_SECONDS):
        await one.reload()
        assert one.context is first
        session = resumes(first, client, None)
        session = resumes(first, client, session)
        assert session is not None
        monkeypatch.setattr(certificate, "_CONTEXT_SECONDS", 0.0)
        while one.context is first:
            await one.reload()
    following.cancel()
    assert resumes(one.context, client, session) is None
    assert resumes(one.context, client, None) is not None


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_refused_clients_do_not_linger(tmp_path: Path, loop: str) -> None:
    """A refused or last connection is over when the client closes it: no deadline has to end it."""
    async with secured(tmp_path, "--loop", loop) as (server, _):
        for sent in (b"nonsense\r\n\r\n", _LAST, GET[:-2] + b"Content-Length: 3\r\n\r\nabc"):
            assert len(statuses(await raw(server.port, sent, tls=context()))) == 1
        url = f"http://127.0.0.1:{server.admin}/metrics"
        async with aiohttp.ClientSession() as session, asyncio.timeout(4):  # a fifth less than the body's deadline
            while True:
                async with session.get(url) as reply:
                    text = await reply.text()
                if "jwks_server_connections_open 0.0" in text:
                    break
        assert 'connections_timed_out_total{deadline="body"} 1' not in text
