"""Measures what scrapes of 1,000 issuers do to the event loop, and to the public listener's clients. Prints figures.

The loop's heartbeat shows the most CPU time that the loop used between two beats.
"""

import gzip
import http.client
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import heartbeat
from bench.large import fill_issuers
from bench.ours import PATH

_PUBLIC, _ADMIN = 18_480, 18_481
_ISSUERS = 1_000
_SECONDS = 4


@contextmanager
def serving(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server on the first core."""
    command = ["taskset", "-c", "0", *heartbeat.COMMAND, "serve", str(directory)]
    command += ["--bind", f"127.0.0.1:{_PUBLIC}", "--admin-bind", f"127.0.0.1:{_ADMIN}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                if fetch(_PUBLIC, f"/issuer-1{PATH}"):
                    break
            except OSError:
                time.sleep(0.1)
        time.sleep(2)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def fetch(port: int, path: str, coding: str = "identity") -> int:
    """Fetch a page; return its size as it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Accept-Encoding": coding})
    body = connection.getresponse().read()
    connection.close()
    if coding == "gzip":
        gzip.decompress(body)
    return len(body)


def pages(directory: Path) -> None:
    """Fetch each page, the first time and again."""
    with serving(directory) as server:
        for path in ("/metrics", "/status"):
            for coding in ("identity", "identity", "gzip", "gzip"):
                heartbeat.blocked(server)
                began = time.perf_counter()
                size = fetch(_ADMIN, path, coding)
                took = (time.perf_counter() - began) * 1e3
                worked, _ = heartbeat.blocked(server)
                print(f"{path} {coding}: {took:.1f} ms, {size:,} bytes; the loop worked for {worked:.1f} ms")


def clients(directory: Path) -> None:
    """Load the public listener without scrapes, and with one of each page every second."""
    with serving(directory) as server:
        heartbeat.toggle(server)
        for scraped in (False, True, False, True):
            stop = threading.Event()
            scraper = threading.Thread(target=scrape, args=(stop,))
            if scraped:
                scraper.start()
            command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{_SECONDS}s", "--latency"]
            command.append(f"http://127.0.0.1:{_PUBLIC}/issuer-1{PATH}")
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            stop.set()
            if scraped:
                scraper.join()
            p50, p99 = re.findall(r"(?m)^ +(?:50|99)% +(\S+)$", done.stdout)
            print(f"{'with' if scraped else 'without'} scrapes: p50 {p50}, p99 {p99}")


def scrape(stop: threading.Event) -> None:
    """Fetch both pages every second."""
    while not stop.wait(1):
        fetch(_ADMIN, "/metrics", "gzip")
        fetch(_ADMIN, "/status", "gzip")


def main() -> None:
    """Fill a folder with issuers, and measure."""
    directory = Path(tempfile.mkdtemp())
    try:
        fill_issuers(directory, _ISSUERS)
        pages(directory)
        clients(directory)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
