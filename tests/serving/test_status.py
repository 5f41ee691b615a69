"""What the program reports: readiness, and the status document."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from jwks_server.errors import DirectoryMissing
from jwks_server.published.catalog import Catalog
from jwks_server.serving.status import Reported, Status
from jwks_server.stats import Reloads


def reported(catalog: Catalog, *, draining: bool = False) -> Reported:
    """Report on a catalog, with connections that only have what status reads."""

    class _Connections(SimpleNamespace):
        def __len__(self) -> int:
            return 3

    connections: Any = _Connections(draining=draining)
    return Reported(catalog, Reloads(), connections, started=0.0)


async def told_by(program: Reported) -> Any:
    """Read the document."""
    return json.loads(b"".join(part.data for part in await Status(program).document()))


def test_ready(catalog: Catalog) -> None:
    """With a set and without SIGTERM the server is ready."""
    assert reported(catalog).unready() == ""


def test_unready_without_a_set() -> None:
    """Before the first set it is not ready, and each fault is named by its code, without a path."""
    program = reported(Catalog())
    program.reloads.faults = {"/": (DirectoryMissing("There is no directory /keys."),)}
    assert program.unready().endswith(" [directory-missing]")
    assert "/keys" not in program.unready()


def test_unready_while_draining(catalog: Catalog) -> None:
    """While draining it is not ready, though it has a set."""
    assert "SIGTERM" in reported(catalog, draining=True).unready()


@pytest.mark.parametrize("draining", [True, False])
async def test_document(catalog: Catalog, draining: bool) -> None:
    """The document agrees with readiness and can be written as JSON."""
    program = reported(catalog, draining=draining)
    program.reloads.add(["start"], "published", at=1.0, seconds=0.5, scan=0.1, faults={})
    told = await told_by(program)
    assert told["started"] == "1970-01-01T00:00:00.000Z"
    assert (told["ready"], told["draining"], told["connections"]) == (not draining, draining, 3)
    assert told["unready"] == (program.unready() or None)
    assert told["reload"]["last"] == {"at": "1970-01-01T00:00:01.000Z", "trigger": "start", "outcome": "published"}
    assert told["reload"]["last_success"] == "1970-01-01T00:00:01.000Z"
    assert told["reload"]["faults"] == {}
    assert told["certificate"] is None


async def test_document_names_faults() -> None:
    """A fault is in the document with its code and reason."""
    program = reported(Catalog())
    program.reloads.faults = {"/": (DirectoryMissing("There is no directory."),)}
    assert (await told_by(program))["reload"]["faults"] == {
        "/": [{"code": "directory-missing", "reason": "There is no directory."}]
    }


async def test_document_says_who_signs_too_early(catalog: Catalog) -> None:
    """An issuer whose keys were all replaced is named until one is safe to sign with."""
    program = reported(catalog)
    program.reloads.too_early = {"/acme": 4e9, "/past": 1.0}
    assert (await told_by(program))["signing_too_early_until"] == {"/acme": "2096-10-02T07:06:40.000Z"}
