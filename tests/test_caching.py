"""What a client gets through a real cache, second by second, around scheduled changes."""

import asyncio
import itertools
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from nginx import caching, nginx
from support import HANG_SECONDS, key, public_pem, serving
from writers import replace

PATH = "/.well-known/jwks.json"
# A reply that needs less time than this to the cache is within the margin.
IN_TIME_SECONDS = 0.9
# How many keys each issuer has before its change, and after it.
KEYS = {"publish": (1, 2), "remove": (2, 1)}


class Got(NamedTuple):
    """A reply: when it was asked for and had, whose it is, how many keys it has, and whether the cache held it."""

    asked: float
    had: float
    issuer: str
    keys: int
    hit: bool


async def asked_through_a_cache(folder: Path, seconds: float) -> tuple[float, list[Got]]:
    """Ask nginx for two sets again and again, until after the moment at which both change."""
    for issuer, number in itertools.product(KEYS, range(2)):
        (folder / issuer).mkdir(parents=True, exist_ok=True)
        (folder / issuer / f"{number}.pem").write_bytes(public_pem(key("P-256", number)))
    found = []
    async with (
        serving(folder, "--rescan", "3600") as server,
        nginx(folder, caching(server.port)) as port,
        aiohttp.ClientSession() as client,
    ):
        moment = time.time() + seconds
        at = datetime.fromtimestamp(moment, UTC).isoformat()
        for issuer in KEYS:
            text = f'[keys."1.pem"]\n{issuer}_at = {at}\n'
            replace(folder / issuer / "jwks.toml", text.encode(), temporary="tmp")
            async with asyncio.timeout(HANG_SECONDS):
                control = "max-age=300"
                while "max-age=300" in control:  # until the policy is known; what is stored now has another lifetime
                    async with client.get(f"http://127.0.0.1:{server.port}/{issuer}{PATH}") as reply:
                        control = reply.headers["Cache-Control"]
        for issuer in itertools.cycle(KEYS):
            asked = time.time()
            if asked > moment + 0.5:
                break
            async with client.get(f"http://127.0.0.1:{port}/{issuer}{PATH}") as reply:
                keys = len((await reply.json())["keys"])
                found.append(Got(asked, time.time(), issuer, keys, reply.headers["X-Cache"] == "HIT"))
            await asyncio.sleep(0.01)
    return moment, found


async def test_a_cache_holds_no_set_past_its_change(tmp_path: Path) -> None:
    """What nginx holds, for as long as it may, is never a set from before a publication or a removal that is over."""
    for seconds in (4.9, 10.9, 40.9):  # later on a busy machine
        moment, found = await asked_through_a_cache(tmp_path / f"{seconds}", seconds)
        held = {(one.issuer, one.keys) for one in found if one.hit and one.asked < moment}
        in_time = all(one.had - one.asked < IN_TIME_SECONDS for one in found if not one.hit)
        if in_time and held == {(issuer, before) for issuer, (before, _) in KEYS.items()}:
            break
    else:
        pytest.fail("the cache held nothing, or no reply was in time")
    late = {(one.issuer, one.keys) for one in found if one.hit and one.asked >= moment}
    assert late <= {(issuer, after) for issuer, (_, after) in KEYS.items()}
    assert {one.issuer: one.keys for one in found} == {issuer: after for issuer, (_, after) in KEYS.items()}
