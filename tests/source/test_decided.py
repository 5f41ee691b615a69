"""jwks.toml over time: the last good policy holds while the file is wrong."""

from pathlib import Path

import aiohttp
from support import Running, key, public_pem, serving
from writers import replace


async def max_age(server: Running) -> str:
    """Fetch the set, and tell its Cache-Control."""
    async with aiohttp.ClientSession() as session, session.get(server.url) as reply:
        return reply.headers["Cache-Control"].partition(",")[2].partition(",")[0].strip()


async def test_bad_policy_leaves_the_last_good_one(tmp_path: Path) -> None:
    """A wrong file is told with its line and changes nothing; the next good one holds, and so does its removal."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    path = tmp_path / "jwks.toml"
    path.write_text("max_age = 77")
    async with serving(tmp_path, "--max-age", "66") as server:
        assert await max_age(server) == "max-age=77"
        replace(path, b"max_age = 78\nunheard_of = 1\n", temporary="tmp")
        entry = await server.log("reload-failed", code="policy-invalid")
        assert "line 2" in entry["reason"]
        assert await max_age(server) == "max-age=77"
        for text, expected in ((b"max_age = 79", 79), (None, 66)):
            if text is None:
                path.unlink()
            else:
                replace(path, text, temporary="tmp")
                await server.log("reload-recovered", code="policy-invalid")
            while await max_age(server) != f"max-age={expected}":
                pass
