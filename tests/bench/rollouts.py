"""Counts the requests that are lost in rolling restarts, of 100,000 answers each: ``python -m bench.rollouts``."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path

from booted import KEYS, CannotBoot, booted_with_units
from called import Called
from rollouts import by_kubernetes, by_reuse_port, by_sockets
from support import key, public_pem

_ANSWERS = 100_000
_PACE = 1_000
# What the manifests have, and how late an endpoint is removed here.
_DRAIN = 5.0
_REMOVED_AFTER = 3.0


async def main() -> bool:
    """Do rolling restarts of each kind; tell whether nothing was lost."""
    clean = True
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "keys").mkdir()
        (folder / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
        removed = partial(asyncio.sleep, _REMOVED_AFTER)
        clean &= await _count("--reuse-port", by_reuse_port(folder / "keys", _ANSWERS, _PACE))
        clean &= await _count("Kubernetes", by_kubernetes(folder / "keys", _ANSWERS, _PACE, removed, _DRAIN))
        try:
            with booted_with_units(folder / "systemd") as machine:
                machine.path(f"{KEYS}/a.pem").write_bytes(public_pem(key("RSA")))
                machine.run("systemctl", "enable", "--now", "jwks-server@1.service", "jwks-server@2.service")
                clean &= await _count("systemd sockets", by_sockets(machine, _ANSWERS, _PACE))
        except CannotBoot as exc:
            sys.stdout.write(f"systemd sockets: not measured, {exc}\n")
    return clean


async def _count(kind: str, rolling: Awaitable[tuple[Called, int]]) -> bool:
    began = time.monotonic()
    clients, rollouts = await rolling
    answers = " and ".join(f"{number} {how}" for how, number in sorted(clients.answers.items()))
    sys.stdout.write(
        f"{kind}: {rollouts} rollouts in {time.monotonic() - began:.0f} s, {answers} answers, "
        f"{sum(clients.lost.values())} lost {clients.lost or ''}\n"
    )
    sys.stdout.flush()
    return not clients.lost


if __name__ == "__main__":
    sys.exit(not asyncio.run(main()))
