"""Service notifications (sd_notify(3)) and socket activation (sd_listen_fds(3))."""

import asyncio
import signal
import socket
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from support import HANG_SECONDS, certificate_pem, certify, key, private_pem, public_pem, serving

from jwks_server.address import Descriptor
from jwks_server.errors import ConfigError
from jwks_server.systemd import passed_sockets


class Manager:
    """A service manager's end of the channel."""

    def __init__(self, path: str) -> None:
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind("\0" + path[1:] if path.startswith("@") else path)
        self._channel.setblocking(False)

    async def told(self, beginning: str) -> str:
        """Wait for a message with this beginning."""
        async with asyncio.timeout(HANG_SECONDS):
            while True:
                message = (await asyncio.get_running_loop().sock_recv(self._channel, 4096)).decode()
                if message.startswith(beginning):
                    return message

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


@pytest.mark.parametrize("abstract", [False, True])
async def test_life_of_a_service(tmp_path: Path, *, abstract: bool) -> None:
    """The server is ready when it listens; a reload by SIGHUP begins and ends; then the server stops."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    path = f"@jwks-server-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    manager = Manager(path)
    async with serving(tmp_path, "--drain", "0", "--shutdown-timeout", "42", NOTIFY_SOCKET=path) as server:
        await manager.told("READY=1")
        server.process.send_signal(signal.SIGHUP)
        assert (await manager.told("RELOADING=1")).splitlines()[1].partition("=")[2].isdigit()
        await manager.told("READY=1")
        server.process.send_signal(signal.SIGTERM)
        extension = (await manager.told("STOPPING=1")).splitlines()[1]
        assert extension == "EXTEND_TIMEOUT_USEC=47000000"  # the drain, the shutdown timeout, and 5 seconds
        assert await server.end() == 0
    manager.close()


async def test_ready_after_a_reload_means_the_certificate_too(tmp_path: Path) -> None:
    """When the reload has finished, the next handshake gets the new certificate."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    files = (tmp_path / "tls.pem", tmp_path / "tls.key")
    manager = Manager(str(tmp_path / "notify"))

    def install(number: int) -> bytes:
        private = key("P-256", number)
        certificate = certify(private, name="localhost")
        for path, data in zip(files, (certificate_pem(certificate), private_pem(private)), strict=True):
            path.with_suffix(".new").write_bytes(data)
            path.with_suffix(".new").rename(path)
        return certificate.public_bytes(Encoding.DER)

    def served(port: int) -> bytes:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=HANG_SECONDS))

    install(0)
    flags = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    async with serving(keys, *flags, NOTIFY_SOCKET=str(tmp_path / "notify")) as server:
        await manager.told("READY=1")
        for number in range(1, 6):
            new = install(number)
            server.process.send_signal(signal.SIGHUP)
            await manager.told("RELOADING=1")
            await manager.told("READY=1")
            assert await asyncio.to_thread(served, server.port) == new
    manager.close()


async def test_watchdog(tmp_path: Path) -> None:
    """The watchdog gets its messages while the process serves."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    manager = Manager(str(tmp_path / "notify"))
    async with serving(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="20000"):
        for _ in range(5):
            await manager.told("WATCHDOG=1")
    manager.close()


async def test_manager_that_does_not_listen(tmp_path: Path) -> None:
    """A server whose notifications can't be delivered serves and ends normally."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path, NOTIFY_SOCKET=str(tmp_path / "nobody")) as server:
        server.process.send_signal(signal.SIGTERM)
        assert await server.end() == 0


def test_passed_sockets() -> None:
    """Sockets from systemd are listed by number with their names, only for the process that they are meant for."""
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "public:admin"}
    assert passed_sockets(environment, 7) == (
        ("public", Descriptor(3)),
        ("admin", Descriptor(4)),
        ("", Descriptor(5)),
    )
    assert passed_sockets(environment, 8) == ()
    assert passed_sockets({}, 7) == ()


@pytest.mark.parametrize("number", ["x", "-1", "100000", "\uff18"])
def test_passed_sockets_without_a_number(number: str) -> None:
    """A LISTEN_FDS that is not a number of sockets is an error that names it."""
    with pytest.raises(ConfigError, match="LISTEN_FDS"):
        passed_sockets({"LISTEN_PID": "7", "LISTEN_FDS": number}, 7)
