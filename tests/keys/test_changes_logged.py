"""What is logged of a change: each key once, by what became of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from support import key, public_pem, serving, thumbprint
from writers import replace

FIRST, SECOND, THIRD = (key("P-256", number) for number in range(3))


async def test_pending_key_that_is_taken_away(tmp_path: Path) -> None:
    """A key whose file goes before its time is not logged as withdrawn: no client has ever seen it."""
    for name, private in (("a.pem", FIRST), ("b.pem", SECOND)):
        (tmp_path / name).write_bytes(public_pem(private))
    later = datetime.now(UTC) + timedelta(days=1)
    (tmp_path / "jwks.toml").write_text(f'[keys."b.pem"]\npublish_at = {later.isoformat()}\n')
    async with serving(tmp_path, "--rescan", "0.05") as server:
        assert [one["kid"] for one in server.logs if one["event"] == "key-pending"] == [thumbprint(SECOND)]
        (tmp_path / "b.pem").unlink()
        (tmp_path / "a.pem").unlink()
        (tmp_path / "c.pem").write_bytes(public_pem(THIRD))
        await server.log("key-withdrawn", kid=thumbprint(FIRST))
    assert [one["kid"] for one in server.logs if one["event"] == "key-withdrawn"] == [thumbprint(FIRST)]


async def test_each_change_is_one_line(tmp_path: Path) -> None:
    """A replaced key is one line for the old and one for the new; a refused file is one, however often it is read."""
    (tmp_path / "a.pem").write_bytes(public_pem(FIRST))
    (tmp_path / "z.pem").write_bytes(b"no key")
    async with serving(tmp_path, "--rescan", "0.02") as server:
        replace(tmp_path / "a.pem", public_pem(SECOND), temporary="tmp")
        await server.log("key-withdrawn", kid=thumbprint(FIRST))
        (tmp_path / "b.pem").write_bytes(public_pem(THIRD))
        await server.log("key-published", kid=thumbprint(THIRD))
    told = [(one["event"], one.get("kid") or one.get("file")) for one in server.logs]
    for line in (
        *(("key-published", thumbprint(one)) for one in (FIRST, SECOND, THIRD)),
        ("key-withdrawn", thumbprint(FIRST)),
        ("file-refused", "z.pem"),
    ):
        assert told.count(line) == 1
