"""docs/reference/commands.md describes what each command prints with --json."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference.commands import COMMANDS, ended, options
from reference.tables import names, page, rows
from support import certificate_pem, certify, key, public_jwk, public_pem, serving, sign, thumbprint

from jwks_server.options.table import JSON

PAGE = page("commands")
RSA = key("RSA")
POLICY = """\
revoked = ["nothing"]
[keys."a.pem"]
alg = "PS256"
[keys."later.pem"]
publish_at = 2099-01-01T00:00:00Z
remove_at = 2099-02-01T00:00:00Z
[keys."removed.pem"]
remove_at = 2020-01-01T00:00:00Z
"""
# What stands in a column for each command's document itself, and the objects whose members are not the program's own.
DOCUMENT, FOREIGN = "the document", ("jwk", "headers")


def objects(value: Any, place: str = "") -> Iterator[tuple[str, set[str]]]:
    """List the objects in a document, each with its place and its members."""
    match value:
        case list():
            for one in value:
                yield from objects(one, f"{place}[]")
        case dict() if any(one.startswith("/") for one in value):
            for one in value.values():
                yield from objects(one, f"{place}.PATH")
        case dict() if value and not place.endswith(FOREIGN):
            yield place or DOCUMENT, set(value)
            for name, one in value.items():
                yield from objects(one, f"{place}.{name}".lstrip("."))


def directory(folder: Path) -> None:
    """Write a directory with a file of each kind: good, double, bad, early, removed, ignored; and an issuer's fault."""
    (folder / "acme").mkdir(parents=True)
    (folder / "jwks.toml").write_text(POLICY)
    (folder / "acme" / "jwks.toml").write_text("nonsense")
    (folder / "acme" / "a.pem").write_bytes(public_pem(key("P-384")))
    for name in ("a.pem", "b.pem"):
        (folder / name).write_bytes(public_pem(RSA))
    (folder / "bad.pem").write_bytes(b"nonsense")
    (folder / "later.pem").write_bytes(certificate_pem(certify(key("P-256"))))
    (folder / "removed.pem").write_bytes(public_pem(key("P-521")))
    (folder / "x.txt").write_bytes(b"")


async def test_every_member(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command's documents have the objects and members of its table, and no others."""
    keys = tmp_path / "keys"
    directory(keys)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.pem").write_bytes(public_pem(RSA))
    (tmp_path / "a.jwk").write_text(json.dumps(public_jwk(RSA, kid="one")))
    async with serving(tmp_path / "served") as server:
        calls: dict[str, tuple[str, ...]] = {
            "check": (str(keys),),
            "diff": (str(keys), server.url),
            "inspect": (str(keys / "later.pem"),),
            "kid": (str(tmp_path / "a.jwk"),),
            "render": (str(keys), "--out", str(tmp_path / "out")),
            "verify": (sign(RSA, "PS256", thumbprint(RSA)), str(keys), server.url),
            "version": (),
            "wait": (thumbprint(RSA), server.url),
        }
        assert calls.keys() == {name for name, command in COMMANDS.items() if JSON in options(command)}
        for name, arguments in calls.items():
            assert await asyncio.to_thread(ended, name, *arguments, "--json") in {0, 1}
            found: dict[str, set[str]] = defaultdict(set)
            for place, members in objects(json.loads(capsys.readouterr().out)):
                found[place] |= members
            assert found == documented(name), name


def documented(name: str) -> dict[str, set[str]]:
    """Read the table of a command: the members that each object has, without values that are named beside them."""
    table = rows(PAGE, f"{name} --json")
    values = {"null", "differs", "set", "verified", "what", "--out"} - ({"verified"} if name == "verify" else set())
    read = {row[0].strip("`"): set(names(row[1])) - values for row in table}
    if "pages[].differences[]" in read:
        read["pages[].differences[]"].add("what")
    return read
