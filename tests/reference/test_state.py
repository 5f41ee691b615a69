"""docs/reference/state.md describes the state file."""

import json
from pathlib import Path
from typing import Any

from reference.tables import names, page, tables
from support import certificate_pem, certify, key, serving

PAGE = page("state")


async def test_format(tmp_path: Path) -> None:
    """The members of a file that the server wrote are those of the tables, and nothing in it is private."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(certificate_pem(certify(key("RSA"))))
    file = tmp_path / "state.json"
    async with serving(tmp_path / "keys", "--state", str(file)) as server:
        server.process.terminate()
        assert await server.end() == 0
    written: dict[str, Any] = json.loads(file.read_text())
    of_file, of_key = ([name for row in table for name in names(row[0])[:1]] for table in tables(PAGE, "Format"))
    assert list(written) == of_file
    assert [list(one) for one in written["issuers"]["/"]] == [of_key]
    assert written["max_ages"] == {"/": {"max_age": 300, "before": []}}
    assert f"This is version {written['version']}." in PAGE
    assert (tmp_path / ".state.json.lock").exists()


async def test_damaged(tmp_path: Path) -> None:
    """A damaged file is renamed as the page says, and the server begins with an empty state."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(certificate_pem(certify(key("RSA"))))
    file = tmp_path / "state.json"
    file.write_text("nonsense")
    async with serving(tmp_path / "keys", "--state", str(file)) as server:
        assert [one["code"] for one in server.logs if one["event"] == "state-lost"] == ["state-damaged"]
        server.process.terminate()
        assert await server.end() == 0
    assert (tmp_path / "state.json.damaged").read_text() == "nonsense"
    assert json.loads(file.read_text())["issuers"].keys() == {"/"}
    assert "`NAME.damaged`" in PAGE
