"""The one class of responses, and the errors as problem documents."""

import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from structlog.testing import capture_logs

from jwks_server.errors import BadRequest, HeadTooLarge, MethodNotAllowed, NoKeySet, NotFound, Problem
from jwks_server.published.catalog import Edition
from jwks_server.serving.response import Response, fault, problem, refusal

Client = TestClient[web.Request, web.Application]
AiohttpClient = Callable[[web.Application], Awaitable[Client]]
ERRORS: list[Problem] = [
    NotFound("Nothing."),
    NoKeySet("Not yet."),
    MethodNotAllowed("No.", "GET, HEAD"),
    BadRequest("No.", "host"),
    HeadTooLarge("No."),
]


def test_edition_travels_on_the_response() -> None:
    """A response carries the edition that it was made from; without one it was not made from the catalog."""
    edition = Edition()
    assert Response(edition=edition, body=b"x").edition is edition
    assert Response(body=b"x").edition is None
    assert problem(NotFound("Nothing.")).edition is None


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_problem_and_refusal_say_the_same(error: Problem) -> None:
    """Whether aiohttp or the connection writes it, an error has the same status, headers and body."""
    made, (head, _, body) = problem(error), refusal(error).partition(b"\r\n\r\n")
    assert made.body == body
    status_line, *lines = head.decode("ascii").split("\r\n")
    assert status_line.startswith(f"HTTP/1.1 {error.status} ")
    written = dict(line.split(": ", 1) for line in lines)
    assert made.headers.items() <= written.items()
    assert written.keys() - made.headers.keys() == {"Content-Length", "Date", "Connection"}
    assert json.loads(body)["code"] == error.code
    assert int(written["Content-Length"]) == len(body)


def test_headers_of_single_errors() -> None:
    """A 405 names what is allowed, a 503 says when to try again; no error is cached."""
    assert problem(MethodNotAllowed("No.", "GET, HEAD")).headers["Allow"] == "GET, HEAD"
    assert problem(NoKeySet("Not yet.")).headers["Retry-After"] == "1"
    assert "Retry-After" not in problem(NotFound("Nothing.")).headers
    assert {problem(error).headers["Cache-Control"] for error in ERRORS} == {"no-store"}


def test_refusal_of_head_has_no_body() -> None:
    """HEAD's refusal has the same head, and nothing after it."""
    whole, bare = refusal(NotFound("Nothing.")), refusal(NotFound("Nothing."), to_head=True)
    assert bare.endswith(b"\r\n\r\n")
    assert whole.partition(b"\r\n\r\n")[2]
    assert b"Content-Length: 0" not in bare


def test_fault_tells_the_log_and_not_the_client() -> None:
    """The log has the exception; the client's message has nothing of it."""
    with capture_logs() as lines:
        error = fault(ValueError("a secret"))
    assert "secret" not in error.message
    (line,) = lines
    assert (line["event"], line["code"], line["reason"]) == ("request-failed", "internal-error", "ValueError")


async def test_no_banner(aiohttp_client: AiohttpClient) -> None:
    """A response doesn't tell the server's version."""

    async def handler(_request: web.Request) -> Response:
        return Response(text="x")

    app = web.Application()
    app.router.add_get("/", handler)
    client = await aiohttp_client(app)
    assert "Server" not in (await client.get("/")).headers
