"""Problem documents and the answer to a preflight request."""

import json

import pytest

from jwks_server.errors import MethodNotAllowed, NoKeySet, NotFound, Problem
from jwks_server.published import problem


@pytest.mark.parametrize(
    ("error", "own"),
    [
        (NotFound("Nothing is there."), {}),
        (MethodNotAllowed("Only GET.", "GET"), {"Allow": "GET"}),
        (NoKeySet("Try again."), {"Retry-After": "1"}),
    ],
)
def test_problem(error: Problem, own: dict[str, str]) -> None:
    """It names status, code and message, is never stored, and has the field that its status asks for."""
    document = json.loads(problem.document(error))
    assert (document["status"], document["code"], document["detail"]) == (error.status, error.code, error.message)
    fields = problem.fields(error)
    assert fields["Cache-Control"] == "no-store"
    assert fields["Content-Type"] == "application/problem+json"
    assert own.items() <= fields.items()


def test_preflight_allows_what_is_answered() -> None:
    """A web page may send each method that is answered, and no other."""
    assert set(problem.PREFLIGHT["Access-Control-Allow-Methods"].split(", ")) == problem.METHODS
