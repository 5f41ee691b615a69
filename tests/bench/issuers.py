"""Measures 1,000 issuers with 3 keys each: the load, one more key, and the idle process. Prints figures."""

import http.client
import time
from pathlib import Path

from bench.rotation import PATH, ask, milliseconds, pem, print_idle, replace, run, serving
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

_ISSUERS = 1_000
_KEYS = 3
_CHANGES = 50


def fill(directory: Path) -> None:
    """Write the keys of all issuers."""
    for number in range(_ISSUERS):
        folder = directory / f"issuer-{number}"
        folder.mkdir()
        for nth in range(_KEYS):
            key = ed25519.Ed25519PrivateKey.from_private_bytes((number * _KEYS + nth).to_bytes(32, "big"))
            (folder / f"{nth}.pem").write_bytes(pem(key))


def issuers(directory: Path) -> None:
    """Load all issuers, then add a key to one after the other."""
    fill(directory)
    time.sleep(0.1)
    started = time.perf_counter()
    with serving(directory) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        paths = [f"/issuer-{number}{PATH}" for number in range(_ISSUERS)]
        tags = {path: ask(connection, path=path)[0] for path in paths}
        loaded = time.perf_counter() - started
        assert all(tags.values())
        print(f"{_ISSUERS} issuers with {_KEYS} keys each: exec -> an answer for each {loaded:.2f} s")
        time.sleep(2)
        taken, used = [], []
        for number in range(_CHANGES):
            path, before = paths[number], server.cpu()
            moment = replace(directory / f"issuer-{number}" / "new.pem", pem(ec.derive_private_key(7, ec.SECP256R1())))
            while ask(connection, "HEAD", path)[0] == tags[path]:
                time.sleep(0.001)
            taken.append(time.perf_counter() - moment)
            used.append(server.cpu() - before)
            time.sleep(0.1)
        print(f"one more key: {milliseconds(taken)}; CPU {sum(used) / _CHANGES * 1e3:.1f} ms with the polling")
        print_idle(server, f" with {_ISSUERS} issuers")
        connection.close()


if __name__ == "__main__":
    run(issuers)
