"""docs/reference/http.md describes what the listeners answer: each row is asked of a running server."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference.tables import names, page, rows, tables
from support import Running, certificate_pem, certify, key, public_pem, raw, serving, tls_flags, trusting

from jwks_server.keys.metadata import OAUTH, OPENID
from jwks_server.options.option import Group
from jwks_server.options.table import SERVE
from jwks_server.serving.admin import ENDPOINTS

PAGE = page("http")
SET = "/.well-known/jwks.json"
POLICY = """\
issuer = "https://id.example.com"
[metadata]
authorization_endpoint = "https://id.example.com/a"
token_endpoint = "https://id.example.com/t"
response_types_supported = ["code"]
subject_types_supported = ["public"]
[keys."later.pem"]
publish_at = 2099-01-01T00:00:00Z
"""
# A request for each row of the answers; no client can cause a 500.
REQUESTS = {
    "200": ("GET", SET, {}),
    "304": ("HEAD", SET, {"If-None-Match": "*"}),
    "406": ("GET", SET, {"Accept-Encoding": "identity;q=0"}),
    "412": ("GET", SET, {"If-Match": '"x"'}),
    "503": ("GET", "/bad" + SET, {}),
    "204": ("OPTIONS", SET, {}),
    "405": ("DELETE", SET, {}),
    "404": ("GET", "/nothing", {}),
    "400": ("GET", "/#", {}),
    "431": ("GET", SET, {f"X-{number}": "a" for number in range(101)}),
    "505": ("GET", SET, {"version": "HTTP/2.0"}),
}
ONLY_SOMETIMES = {"Connection", "Content-Encoding"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: str
    fields: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of a problem document; empty for another body."""
        is_problem = self.fields.get("Content-Type") == "application/problem+json"
        return str(json.loads(self.body)["code"]) if is_problem and self.body else ""


async def ask(port: int, method: str, path: str, **fields: str) -> Reply:
    """Send a request, and read the reply until the server closes."""
    version = fields.pop("version", "HTTP/1.1")
    given = {"Host": "127.0.0.1", "Connection": "close", **fields}
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in given.items())]
    head, _, body = (await raw(port, "\r\n".join((*lines, "", "")).encode())).partition(b"\r\n\r\n")
    status, *found = head.decode().split("\r\n")
    return Reply(status.split()[1], dict(one.split(": ", 1) for one in found), body)


@asynccontextmanager
async def served(tmp_path: Path, *flags: str) -> AsyncIterator[Running]:
    """Serve an issuer with all that there is, one in a folder, and one that never had a good key."""
    for folder in ("acme", "bad"):
        (tmp_path / "keys" / folder).mkdir(parents=True)
        (tmp_path / "keys" / folder / "jwks.toml").write_text(POLICY if folder == "acme" else "")
    (tmp_path / "keys" / "jwks.toml").write_text(POLICY)
    (tmp_path / "keys" / "a.pem").write_bytes(certificate_pem(certify(key("RSA"))))
    (tmp_path / "keys" / "later.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "keys" / "acme" / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "keys" / "bad" / "a.pem").write_bytes(b"nonsense")
    async with serving(tmp_path / "keys", *flags) as server:
        yield server


async def test_every_path(tmp_path: Path) -> None:
    """Each path of the table is served, and the table has all that there are."""
    listed = [names(row[1])[0] for row in rows(PAGE, "Paths")], [names(row[2])[0] for row in rows(PAGE, "Paths")]
    assert listed == ([SET, f"/acme{SET}"], [OPENID, f"/acme{OPENID}"])
    assert [names(row[3]) for row in rows(PAGE, "Paths")] == [[OAUTH], [f"{OAUTH}/acme"]]
    async with served(tmp_path) as server:
        for row in rows(PAGE, "Paths"):
            for cell in row[1:]:
                assert (await ask(server.port, "GET", *names(cell))).status == "200"


def documented() -> dict[str, set[str]]:
    """List the codes of each status in the table of answers; one without a code has none."""
    found: dict[str, set[str]] = {}
    for _, statuses, codes, _ in rows(PAGE, "Answers"):
        listed = statuses.split(", ")
        for status, code in zip(listed, names(codes) or [""] * len(listed), strict=True):
            found.setdefault(status, set()).add(code)
    return found


async def test_every_answer(tmp_path: Path) -> None:
    """Each status is given as the table says, with its code and exactly the fields that are documented for it."""
    statuses = documented()
    assert statuses.keys() == {*REQUESTS, "500", "408"}
    fields = {names(row[0])[0]: row[1] for row in rows(PAGE, "Fields")}
    values = {names(row[0])[0]: names(row[2]) for row in rows(PAGE, "Fields") if re.match("`[^`]+`(:|$)", row[2])}
    async with served(tmp_path) as server:
        replies = {status: await ask(server.port, *request[:2], **request[2]) for status, request in REQUESTS.items()}
        head = await ask(server.port, "HEAD", SET)
        zipped = await ask(server.port, "GET", SET, **{"Accept-Encoding": "gzip"})
    assert head.fields == {**replies["200"].fields, "Date": head.fields["Date"]}
    assert zipped.fields.keys() - head.fields.keys() == {"Content-Encoding"}
    assert {*ONLY_SOMETIMES, *zipped.fields} <= fields.keys()
    for status, reply in replies.items():
        assert (reply.status, reply.code) == (status, *statuses[status])
        wanted = {
            name
            for name, where in fields.items()
            if where in {"all", "any"} or status in where or (reply.code and "problems" in where)
        }
        assert wanted - ONLY_SOMETIMES <= reply.fields.keys() <= wanted, status
        assert all(reply.fields[name] in values[name] for name in reply.fields.keys() & values.keys()), status
        if reply.code:
            assert list(json.loads(reply.body)) == [names(row[0])[0] for row in rows(PAGE, "Problem documents")]


async def test_late(tmp_path: Path) -> None:
    """A head that isn't complete in time is answered with 408, as the table says."""
    async with serving(tmp_path, "--head-timeout", "0.2") as server:
        reply = await raw(server.port, b"GET / HTTP/1.1\r\n")
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert documented()["408"] == {json.loads(reply.partition(b"\r\n\r\n")[2])["code"]}


async def test_conditions_and_codings(tmp_path: Path) -> None:
    """What the page says is ignored is ignored, and codings are chosen as it says."""
    async with served(tmp_path) as server:
        for name in ("If-Modified-Since", "If-Unmodified-Since"):
            assert (await ask(server.port, "GET", SET, **{name: "Wed, 01 Jan 2020 00:00:00 GMT"})).status == "200"
        assert (await ask(server.port, "GET", SET, Range="bytes=0-1", TE="gzip", Accept="text/html")).status == "200"
        plain = await ask(server.port, "GET", SET + "?a=b")
        small = await ask(server.port, "GET", SET, **{"Accept-Encoding": "x-gzip"})
        wrong = {"If-Match": '"x"', "If-None-Match": "*"}
        assert (await ask(server.port, "GET", SET, **wrong)).status == "412"
        assert (await ask(server.port, "GET", SET, **wrong, **{"Accept-Encoding": "*;q=0"})).status == "406"
        weak = {"If-None-Match": f'"a", W/{plain.fields["ETag"]}'}
        assert (await ask(server.port, "GET", SET, **weak)).status == "304"
        assert (await ask(server.port, "GET", SET, **weak, **{"Accept-Encoding": "gzip"})).status == "200"
        assert (await ask(server.port, "GET", SET, **{"If-Match": f"W/{plain.fields['ETag']}"})).status == "412"
        for path in (f"/{SET}", f"/a/..{SET}", SET.replace(".", "%2e")):
            assert (await ask(server.port, "GET", path)).status == "404"
    assert "Content-Encoding" not in plain.fields
    assert small.fields["Content-Encoding"] == "gzip"
    assert plain.fields["Cache-Control"] == "public, max-age=300, stale-if-error=86400"


INVALID = {
    "a Host that is missing": "GET / HTTP/1.1\r\n\r\n",
    "repeated": "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "or malformed": "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "`Content-Length` with `Transfer-Encoding`": (
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "`Transfer-Encoding` in HTTP/1.0": "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "folded lines": "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
    "bare LF": "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "`#` or control bytes in the target": "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
}
CLOSING = {
    "sends `Upgrade` or `CONNECT`": "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: b\r\n\r\n",
    "sends a body": "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
    "uses another version of HTTP": "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
}


async def test_what_ends_a_connection(tmp_path: Path) -> None:
    """What the table calls invalid is answered with 400, and after this and other requests the server closes."""
    table = {row[0]: row[1] for row in rows(PAGE, "Limits for clients")}
    (invalid,) = (one.removeprefix("sends invalid HTTP: ") for one in table if "invalid HTTP" in one)
    assert invalid.split(", ") == list(INVALID)
    assert table.keys() >= CLOSING.keys()
    async with serving(tmp_path, *tls_flags(tmp_path / "tls")) as server:
        plain = await raw(server.port, b"GET / HTTP/1.1\r\n\r\n")
    async with serving(tmp_path) as server:
        refused = [await raw(server.port, one.encode()) for one in INVALID.values()]
        closed = [await raw(server.port, one.encode()) for one in CLOSING.values()]
    assert {one.split(b" ", 2)[1] for one in (plain, *refused)} == {b"400"}
    assert [one.split(b" ", 2)[1] for one in closed] == [b"404", b"404", b"505"]
    assert b"TLS" in plain
    assert "unencrypted 400" in table["doesn't speak TLS on a TLS port"]
    assert "no_application_protocol" in table["speaks TLS, but by ALPN neither HTTP/1.1 nor HTTP/1.0"]


def test_every_limit() -> None:
    """The section about limits names each of their flags."""
    section = PAGE.partition("\n## Limits for clients\n")[2].partition("\n## ")[0]
    assert {one.flag for one in SERVE if one.group in {Group.LIMITS, Group.SHUTDOWN}} <= set(names(section))


async def test_admin_listener(tmp_path: Path) -> None:
    """Each row of the admin listener's table holds, and its answers are for no web page and no cache."""
    listed = [names(row[0])[-1].split()[-1] for row in rows(PAGE, "Admin listener") if "/" in row[0]]
    assert listed == [*ENDPOINTS, "/", "/events"]  # tests/serving/page/test_stream.py is about the last one
    async with served(tmp_path) as server:
        replies = [await ask(server.admin, method, path) for path in listed[:-1] for method in ("GET", "HEAD")]
        assert {one.status for one in replies} == {"200"}
        others = [
            await ask(server.admin, "POST", "/livez"),
            await ask(server.admin, "GET", "/nothing"),
            await ask(server.admin, "GET", "/status", Host="evil.example"),
        ]
        zipped = [await ask(server.admin, "GET", path, **{"Accept-Encoding": "gzip"}) for path in ENDPOINTS[2:]]
    answers = [row[1] for row in rows(PAGE, "Admin listener")[len(listed) :]]
    assert [f"{one.status} with `{one.code}`" for one in others] == answers
    assert [one.fields.get("Content-Encoding") for one in zipped] == ["gzip", "gzip"]
    for reply in (*replies, *others):
        assert reply.fields["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in reply.fields


async def test_status(tmp_path: Path) -> None:
    """The members of ``/status`` are those of the tables."""
    of_all, of_issuer, of_key = ([name for row in table for name in names(row[0])] for table in tables(PAGE, "Status"))
    async with served(tmp_path, *tls_flags(tmp_path / "tls")) as server:
        server.tls = trusting()
        status: dict[str, Any] = json.loads((await ask(server.admin, "GET", "/status")).body)
    assert list(status) == of_all
    for member in ("certificate", "rescan", "reload"):
        (cell,) = (row[1] for row in tables(PAGE, "Status")[0] if names(row[0]) == [member])
        assert status[member].keys() <= set(names(cell))
    for issuer in status["issuers"].values():
        assert list(issuer) == of_issuer
        for one in issuer["keys"]:
            assert list(one) == ["kid", "kty", "alg", "use", *of_key]
        assert {"code", "reason", "subject"} >= {name for finding in issuer["findings"] for name in finding}
    (last,) = re.findall(r"^A file has (.*)\.$", PAGE, re.MULTILINE)
    seen = {name for issuer in status["issuers"].values() for file in issuer["files"] for name in file}
    assert {"file", "verdict", "kids", "until", "code", "reason"} <= seen <= set(names(last))
