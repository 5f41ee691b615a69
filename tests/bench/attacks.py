"""What attacks do to the server's memory, and to a good client meanwhile. Loopback only; prints a table."""

import argparse
import asyncio
import re
import resource
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # so that it runs as a script and with -m alike

from support import (  # noqa: E402 - needs the line above
    Running,
    certificate_pem,
    certify,
    key,
    private_pem,
    public_pem,
    serving,
    trusting,
)

from jwks_server.serving.descriptors import room_in  # noqa: E402 - as above

_MIB = 1024
_MEMORY = 256 * 1024 * 1024  # the limit in our manifests
_GET = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n"
_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
_ATTACK_SECONDS = 8.0
_QUIET_SECONDS = 12.0

Attack = Callable[[int, float], Coroutine[object, object, None]]


@dataclass
class Watch:
    """A good client, and the server's memory, while something else goes on.

    Attributes:
        peak: The most resident memory that was seen, in KiB.
        times: How long the good client waited for each answer, in seconds.
    """

    server: Running
    tls: ssl.SSLContext | None
    peak: int = 0

    def __post_init__(self) -> None:
        self.times: list[float] = []

    def rss(self) -> int:
        """Read the server's resident memory in KiB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.server.process.pid}/status").read_text())
        return int(found[1]) if found else 0

    async def go_on(self) -> None:
        """Ask fifty times a second on one connection, and again on a new one where that is closed."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, ssl=self.tls)
                while True:
                    self.peak = max(self.peak, self.rss())
                    begun = time.perf_counter()
                    writer.write(_GET)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                    await reader.readexactly(length)
                    self.times.append(time.perf_counter() - begun)
                    await asyncio.sleep(0.02)

    @property
    def p99(self) -> float:
        """The good client's 99th percentile in milliseconds."""
        return sorted(self.times)[int(len(self.times) * 0.99)] * 1000 if self.times else float("nan")


async def _hold(port: int, number: int, data: bytes, until: float) -> None:
    """Open connections side by side, send the same on each, and keep them open."""
    open_now: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    for _ in range(number):
        one = socket.socket()
        one.setblocking(False)
        try:
            await loop.sock_connect(one, ("127.0.0.1", port))
            with suppress(OSError):
                await asyncio.wait_for(loop.sock_sendall(one, data), 1)
        except OSError:
            one.close()
            continue
        open_now.append(one)
    await asyncio.sleep(max(0.0, until - loop.time()))
    for one in open_now:
        one.close()


async def one_byte(port: int, until: float) -> None:
    """3,500 clients send the first byte of TLS."""
    await _hold(port, 3500, b"\x16", until)


async def large_heads(port: int, until: float) -> None:
    """15,000 clients send a head of 16 KB without its end."""
    await asyncio.gather(*[_hold(port, 1500, _HEAD + b"x" * (16_300 - len(_HEAD)), until) for _ in range(10)])


async def hellos(port: int, until: float) -> None:
    """Clients send a whole ClientHello and nothing more, as fast as one process can."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        trusting().wrap_bio(into, out).do_handshake()
    hello = out.read()
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        await _hold(port, 300, hello, loop.time() + 0.05)


async def idle(port: int, until: float) -> None:
    """2,000 clients shake hands and are idle."""
    client, loop = trusting(), asyncio.get_running_loop()
    writers = []
    for _ in range(2000):
        with suppress(OSError, TimeoutError):
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, ssl=client), 5)
            writers.append(writer)
    await asyncio.sleep(max(0.0, until - loop.time()))
    for writer in writers:
        writer.transport.abort()


ATTACKS: dict[str, tuple[Attack, bool]] = {
    "3,500 x one byte of TLS": (one_byte, True),
    "flood of ClientHellos": (hellos, True),
    "2,000 idle TLS clients": (idle, True),
    "15,000 heads of 16 KB": (large_heads, False),
}


async def _in_process(name: str, port: int) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--attack", name, str(port))
    await process.wait()


async def measure(name: str, loop: str, attack: Callable[[int], Awaitable[None]], *, tls: bool) -> None:
    """Attack a server that has as many places as the limit on memory in our manifests gives it."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "keys").mkdir()
        (where / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
        private = key("P-256")
        (where / "tls.pem").write_bytes(certificate_pem(certify(private, name="localhost")))
        (where / "tls.key").write_bytes(private_pem(private))
        pair = ["--tls-cert", str(where / "tls.pem"), "--tls-key", str(where / "tls.key")] if tls else []
        flags = ["--loop", loop, "--max-connections", str(room_in(_MEMORY)), *pair]
        async with serving(where / "keys", *flags) as server:
            watch = Watch(server, trusting() if tls else None)
            good = asyncio.create_task(watch.go_on())
            await asyncio.sleep(1)
            before, watch.times = watch.rss(), []
            await attack(server.port)
            p99 = watch.p99
            await asyncio.sleep(_QUIET_SECONDS)
            good.cancel()
            after = watch.rss()
        print(
            f"{name:26} {loop:8} before {before / _MIB:5.0f}  peak {watch.peak / _MIB:5.0f}  "
            f"after {after / _MIB:5.0f} MiB   good client's p99 {p99:6.1f} ms of {len(watch.times)} answers",
            flush=True,
        )


async def main() -> None:
    """Run every attack against both event loops, or one from a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack", nargs=2, metavar=("NAME", "PORT"))
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], action="append")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if given.attack:
        name, port = given.attack
        await ATTACKS[name][0](int(port), asyncio.get_running_loop().time() + _ATTACK_SECONDS)
        return
    for loop in given.loop or ["uvloop", "asyncio"]:
        for name, (_, tls) in ATTACKS.items():
            await measure(name, loop, lambda port, name=name: _in_process(name, port), tls=tls)  # type: ignore[misc]


if __name__ == "__main__":
    asyncio.run(main())
