"""docs/reference/state.md describes the state file."""

import json
import re
from pathlib import Path
from typing import Any

from reference.tables import names, page, rows, tables
from support import certificate_pem, certify, key, public_pem, run, serving

from jwks_server.errors import StateDamaged, StateUnusable
from jwks_server.source.state import StateFile

PAGE = page("state")


async def test_format(tmp_path: Path) -> None:
    """The members of a file that the server wrote are those of the tables; a key that is only there is published."""
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
    (tmp_path / "keys" / "a.pem").write_bytes(public_pem(key("RSA", 1)))
    verdicts = run("check", tmp_path / "keys", "--state", file, "--retain", "7200").stdout
    assert re.findall(r"^a\.pem +(\w+)", verdicts, re.MULTILINE) == ["published", "retiring"]
    assert json.loads(file.read_text()) == written


def recovered(path: Path) -> str:
    """Read a state file as ``serve`` does; return the code of what is wrong with it."""
    try:
        assert StateFile(path).load() == {}
    except (StateDamaged, StateUnusable) as error:
        return error.code
    return ""


def test_recovery(tmp_path: Path) -> None:
    """What is wrong with a file has the code of its row, and only a damaged file is touched."""
    (tmp_path / "damaged").write_text("nonsense")
    (tmp_path / "newer").write_text('{"version": 3}')
    (tmp_path / "unreadable").mkdir()
    codes = {
        "is missing": recovered(tmp_path / "missing"),
        "is damaged": recovered(tmp_path / "damaged"),
        "can't be read": recovered(tmp_path / "unreadable"),
        "is of a newer version": recovered(tmp_path / "newer"),
    }
    table = {row[0]: names(row[1]) for row in rows(PAGE, "How it is recovered")}
    assert table.keys() - codes.keys() == {"can't be written", "has a time of first publication in the future"}
    assert all(not code or code in table[case] for case, code in codes.items())
    assert sorted(code for code in codes.values() if code) == ["state-damaged", "state-newer", "state-unusable"]
    assert {one.name for one in tmp_path.iterdir()} == {"damaged.damaged", "newer", "unreadable"}
    assert "`NAME.damaged`" in PAGE
