"""A long run under a moderate load, with rotations, reloads and bad clients: ``python -m bench.soak --minutes 60``."""

import argparse
import asyncio
import contextlib
import json
import random
import re
import signal
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from sites import GET
from support import Running, key, public_pem, serving

_LAST = GET[:-2] + b"Connection: close\r\n\r\n"
_KEYS = 12


class Soak:
    """The load on a server, and the results."""

    def __init__(self, server: Running, directory: Path, seconds: float) -> None:
        self._server = server
        self._directory = directory
        self._end = time.monotonic() + seconds
        self.seen: Counter[str] = Counter()
        self.resident: list[float] = []

    def _goes_on(self) -> bool:
        return time.monotonic() < self._end

    async def _whole(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        good = head.startswith(b"HTTP/1.1 200 ") and json.loads(body)["keys"]
        self.seen["answers" if good else "errors"] += 1

    async def kept(self) -> None:
        """Send requests on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        while self._goes_on():
            writer.write(GET)
            await self._whole(reader)
            await asyncio.sleep(0.02)
        writer.close()

    async def fresh(self) -> None:
        """Send each request on a new connection."""
        while self._goes_on():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            writer.write(_LAST)
            await self._whole(reader)
            writer.close()
            await asyncio.sleep(0.05)

    async def bad(self) -> None:
        """Send an invalid request, or half of one, and disconnect."""
        while self._goes_on():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            writer.write(random.choice((b"\x16\x03\x01", GET[:20], GET.replace(b"Host", b"H st"), GET * 50)))  # noqa: S311
            with contextlib.suppress(TimeoutError, OSError):
                await asyncio.wait_for(reader.read(100), 0.5)
            writer.close()
            self.seen["bad clients"] += 1
            await asyncio.sleep(0.1)

    async def rotate(self) -> None:
        """Replace a key each second."""
        while self._goes_on():
            number = self.seen["rotations"]
            (self._directory / "draft").write_bytes(public_pem(key("P-256", number % _KEYS)))
            (self._directory / "draft").rename(self._directory / f"{number % 3}.pem")
            self.seen["rotations"] += 1
            await asyncio.sleep(1)

    async def reload(self) -> None:
        """Send SIGHUP periodically."""
        while self._goes_on():
            self._server.process.send_signal(signal.SIGHUP)
            self.seen["reloads"] += 1
            await asyncio.sleep(10)

    async def watch(self) -> None:
        """Read the metrics, as Prometheus does, and the memory."""
        url = f"http://127.0.0.1:{self._server.admin}/metrics"
        while self._goes_on():
            text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
            found = re.search(r"(?m)^process_resident_memory_bytes (\S+)", text)
            self.resident.append(float(found[1]) / 2**20 if found else 0)
            self._server.logs.clear()
            await asyncio.sleep(15)

    async def logs(self) -> None:
        """Read the log, and count the errors in it."""
        while self._goes_on():
            with contextlib.suppress(TimeoutError):
                entry = await asyncio.wait_for(self._server._next(), 1)  # noqa: SLF001 - a test's own helper
                if entry and entry["level"] in {"error", "critical"}:
                    self.seen[f"log: {entry['event']}"] += 1


async def soak(minutes: float) -> None:
    """Run, and print the results."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        for number in range(3):
            (directory / f"{number}.pem").write_bytes(public_pem(key("P-256", number)))
        async with serving(directory, "--retain", "5", "--head-timeout", "2") as server:
            run = Soak(server, directory, minutes * 60)
            begun = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for work in (run.kept, run.kept, run.kept, run.fresh, run.bad, run.rotate, run.reload, run.watch):
                    tasks.create_task(work())
                tasks.create_task(run.logs())
            first, last = run.resident[min(4, len(run.resident) - 1)], run.resident[-1]
            print(f"{time.monotonic() - begun:.0f} s: {dict(run.seen)}; errors {run.seen['errors']}")
            print(f"RSS after a minute {first:.1f} MiB, at the end {last:.1f}, highest {max(run.resident):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    asyncio.run(soak(parser.parse_args().minutes))
