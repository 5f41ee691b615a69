"""docs/reference/log-events.md names every log event, with its level and fields."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import ROOT, key, public_pem, serving

import jwks_server
from jwks_server.keys.changes import EVENTS

PACKAGE = Path(jwks_server.__file__).parent
REFERENCE = (ROOT / "docs" / "reference" / "log-events.md").read_text()
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


@dataclass(frozen=True)
class Event:
    """A row of the reference, or a call in the package."""

    name: str
    level: str
    fields: frozenset[str]


def table(section: str) -> list[list[str]]:
    """Read a section's table, without its head."""
    text = REFERENCE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("| `")]


COMMON = frozenset(row[0].strip("`") for row in table("Fields of every event"))
DOCUMENTED = {
    name.strip("`"): Event(name.strip("`"), level, frozenset(re.findall("`([a-z_]+)`", fields)))
    for name, level, fields, _ in table("Events")
}


def receiver(call: ast.Call) -> str:
    """Name the object whose method is called: ``_log`` in ``self._log.info(...)``."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=level) if level in LEVELS:
            return name
        case _:
            return ""


def logged(path: Path) -> Iterator[Event]:
    """Find the log calls in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and receiver(node).lstrip("_") in {"log", "seldom"}:
            assert isinstance(node.func, ast.Attribute)
            (name,) = node.args
            assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: an event's name is a literal"
            fields = {keyword.arg for keyword in node.keywords} - {"exc_info"}
            assert None not in fields, f"{path}:{node.lineno}: an event's fields are spelled out"
            yield Event(str(name.value), node.func.attr, frozenset(map(str, fields)))


CALLS = [event for path in sorted(PACKAGE.rglob("*.py")) for event in logged(path)]


def test_every_event_has_a_row() -> None:
    """The events are those of the log calls and of the changes, and there is no row for another one."""
    assert len(table("Events")) == len(DOCUMENTED)
    assert {event.name for event in CALLS} | set(EVENTS) == DOCUMENTED.keys()
    assert not {event.name for event in CALLS} & set(EVENTS)


@pytest.mark.parametrize("event", CALLS, ids=[event.name for event in CALLS])
def test_every_call_is_as_documented(event: Event) -> None:
    """A log call has its row's level and exactly its row's fields."""
    assert event == DOCUMENTED[event.name]


def test_changes_are_declared() -> None:
    """Each event that is spelled out where changes are found is one of ``EVENTS``."""
    module = ast.parse((PACKAGE / "keys" / "changes.py").read_text())
    literals = {node.value for node in ast.walk(module) if isinstance(node, ast.Constant)}
    spelled = {one for one in literals if isinstance(one, str) and re.fullmatch(r"(key|file|issuer)-[a-z]+", one)}
    assert len(spelled) > 2
    assert spelled <= set(EVENTS)


async def test_lines_of_a_server_are_as_documented(tmp_path: Path) -> None:
    """A server through a key's whole life logs no event, level or field that the reference doesn't name."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    (keys / "b.pem").write_bytes(public_pem(key("P-256")))
    (keys / "copy.pem").write_bytes(public_pem(key("RSA")))
    (keys / "bad.pem").write_bytes(b"nonsense")
    (keys / "later.pem").write_bytes(public_pem(key("Ed25519")))
    policy = '[keys."later.pem"]\npublish_at = 2099-01-01T00:00:00Z\n'
    (keys / "jwks.toml").write_text(policy)
    (keys / "acme").mkdir()
    (keys / "acme" / "c.pem").write_bytes(public_pem(key("RSA", 1)))
    flags = ("--retain", "1", "--access-log", "--state", str(tmp_path / "state.json"))
    async with serving(keys, *flags) as server:
        (keys / "b.pem").unlink()
        await server.log("key-retiring", file="b.pem")
        await server.log("key-withdrawn", file="b.pem")
        (keys / "jwks.toml").write_text("nonsense")
        await server.log("reload-failed", code="policy-invalid")
        (keys / "jwks.toml").write_text(policy)
        await server.log("reload-recovered")
        server.process.terminate()
        assert await server.end() == 0
    assert server.logs[0]["event"] == "starting"
    assert f"--state {tmp_path}/state.json" in server.logs[0]["settings"]
    named = {entry["event"] for entry in server.logs}
    assert named >= {"key-published", "key-pending", "file-duplicate", "file-refused", "loaded", "listening", "stopped"}
    for entry in server.logs:
        row = DOCUMENTED[entry["event"]]
        assert entry["level"] in ({row.level, "debug"} if entry["event"] in EVENTS else {row.level})
        assert entry.keys() <= COMMON | row.fields, entry
