"""render --format nginx: what a real nginx answers of it, beside what serve answers of the same directory."""

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from nginx import nginx
from support import key, private_pem, public_pem, run, serving

from jwks_server.commands.nginx import FOLDER, INCLUDE
from jwks_server.keys.jwk import digest

JWKS = "/.well-known/jwks.json"
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
PATHS = (JWKS, OPENID, OAUTH, f"/acme{JWKS}", f"/acme{OPENID}", f"{OAUTH}/acme", f"/beta{JWKS}")
METADATA = """[metadata]
authorization_endpoint = "https://id.example.com/authorize"
token_endpoint = "https://id.example.com/token"
response_types_supported = ["code"]
subject_types_supported = ["public"]
"""
# What differs by design of HTTP or of nginx, and says nothing about the key set.
BY_THE_SERVER = {"date", "server", "connection"}


@dataclass(frozen=True)
class Reply:
    """What came back for a request."""

    status: int
    fields: Mapping[str, str]
    body: bytes


def ask(port: int, path: str, method: str = "GET", **fields: str) -> Reply:
    """Send one request; names of fields are written with underscores."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in fields.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    with connection.getresponse() as reply:
        told = [(name.lower(), value) for name, value in reply.getheaders()]
        assert len(told) == len(dict(told)), told
        body = reply.read()
    connection.close()
    return Reply(reply.status, {name: value for name, value in told if name not in BY_THE_SERVER}, body)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory that is an issuer with discovery, and holds two more: with discovery and without."""
    path = tmp_path / "keys"
    for number, name in enumerate(("", "acme", "beta")):
        folder = path / name
        folder.mkdir()
        (folder / "a.pem").write_bytes(private_pem(key("RSA", number)))
        (folder / "a.pem").chmod(0o600)
        issuer = f'issuer = "https://id.example.com/{name}"\nmax_age = {number + 60}\n'
        (folder / "jwks.toml").write_text("" if name == "beta" else issuer.replace('/"', '"') + METADATA)
    return path


@asynccontextmanager
async def served(keys: Path, out: Path, *flags: str) -> AsyncIterator[tuple[int, int]]:
    """Serve a directory by both; give nginx's port and serve's."""
    done = await asyncio.to_thread(run, "render", keys, "--out", out, "--format", "nginx", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    async with serving(keys, *flags) as server, nginx(out, f'include "{out / INCLUDE}";') as port:
        yield port, server.port


def different(port: int, other: int, path: str, method: str = "GET", **fields: str) -> list[str]:
    """List what nginx sends otherwise than serve."""
    ours, theirs = ask(port, path, method, **fields), ask(other, path, method, **fields)
    found = [] if ours.status == theirs.status else [f"{ours.status} != {theirs.status}"]
    names = sorted({*ours.fields, *theirs.fields})
    found += [
        f"{name}: {ours.fields.get(name)} != {theirs.fields.get(name)}"
        for name in names
        if ours.fields.get(name) != theirs.fields.get(name)
    ]
    return [*found, *(["body"] if ours.body != theirs.body else [])]


CODINGS = (
    *("", "gzip", "br", "gzip, br", "br,gzip", "GZIP", "x-gzip", "deflate", "identity", "*", "gzip, deflate, br, zstd"),
    *("gzip;q=1", "gzip ; q=1.000", "br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip;q=0", "br;q=0, gzip", "*;q=0, gzip"),
    *("gzip;q=0.000, identity", "gzip, identity;q=0", "*;q=0", "identity;q=0", "identity;q=0.000, gzip;q=0.5"),
    *("*;q=0, br;q=0.001", "identity;q=0, gzip;q=0", "*;q=0, identity;q=0.1", "gzipped", "xgzip, brr", ",, gzip ,,"),
    *("gzip;q=2", "gzip;level=9", "identity, gzip", "gzip, *;q=0", "*;q=0, identity;q=0, br"),
)


async def test_every_page_in_every_coding(tmp_path: Path, keys: Path) -> None:
    """Status, header fields and bytes are those of serve, for each page, method and Accept-Encoding."""
    async with served(keys, tmp_path / "out") as (port, other):

        def compare() -> None:
            for path, method in itertools.product(PATHS, ("GET", "HEAD")):
                assert different(port, other, path, method) == []
                for codings in CODINGS:
                    found = different(port, other, path, method, accept_encoding=codings)
                    assert found == [], (path, method, codings)
            assert {ask(port, path).fields["cache-control"][:18] for path in PATHS} == {
                f"public, max-age={seconds}" for seconds in (60, 61)
            } | {"public, max-age=30"}

        await asyncio.to_thread(compare)


async def test_conditions(tmp_path: Path, keys: Path) -> None:
    """If-None-Match is compared weakly and If-Match strongly, in lists too; a 304 has the fields of serve's."""
    async with served(keys, tmp_path / "out") as (port, other):

        def compare() -> None:
            for coding in ("identity", "gzip", "br"):
                tag = ask(other, JWKS, accept_encoding=coding).fields["etag"]
                other_tag = ask(other, JWKS, accept_encoding="br" if coding == "gzip" else "gzip").fields["etag"]
                values = (
                    *(tag, f"W/{tag}", f'"x", {tag}', f'{tag},"x"', f' W/"a,b" ,\t{tag} , "c"', f",{tag}", f"{tag}x"),
                    *(
                        "*",
                        " * ",
                        "*, *",
                        '"x"',
                        other_tag,
                        tag.strip('"'),
                        f"w/{tag}",
                        tag.swapcase(),
                        f'"{tag}"',
                        '""',
                    ),
                    *(f"{other_tag}, {tag}", f"x, {tag}", "W/*", f"{tag} {tag}", tag[:-2] + '"', f'"{tag[2:]}'),
                )
                for method, value in itertools.product(("GET", "HEAD"), values):
                    found = different(port, other, JWKS, method, if_none_match=value, accept_encoding=coding)
                    length = [one for one in found if one.startswith("content-length") and one.endswith("None")]
                    assert found == length, (method, value)
                    if length:  # a 304 of nginx has the length of the 200, which RFC 9110 allows
                        size = ask(other, JWKS, "HEAD", accept_encoding=coding).fields["content-length"]
                        assert length == [f"content-length: {size} != None"]
                    found = different(port, other, JWKS, method, if_match=value, accept_encoding=coding)
                    if ask(other, JWKS, if_match=value, accept_encoding=coding).status == 200 and value.strip() != "*":
                        assert found[0] == "412 != 200"  # documented: nginx can't evaluate it
                    else:
                        assert found == [], (method, value)
                found = different(port, other, JWKS, if_match="*", if_none_match='"x"', accept_encoding=coding)
                assert found == []

        await asyncio.to_thread(compare)


OTHER_PATHS = (
    "/",
    "/nothing",
    f"{JWKS}/",
    f"/gone{JWKS}",
    f"{JWKS}?a=b",
    f"{OAUTH}/",
    f"{JWKS}%25",
    "/.nginx/jwks.conf",
)


async def test_methods_and_paths(tmp_path: Path, keys: Path) -> None:
    """OPTIONS, methods that are not allowed, and paths where nothing is have serve's answers, bodies included."""
    methods = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PROPFIND")
    flags = ("--media-type", "application/jwk-set+json; charset=utf-8")
    async with served(keys, tmp_path / "out", *flags) as (port, other):

        def compare() -> None:
            for path, method in itertools.product((*PATHS, *OTHER_PATHS), methods):
                found = different(port, other, path, method, origin="https://a.example", content_length="0")
                assert found == [], (path, method)
            tag = ask(other, JWKS).fields["etag"]
            assert different(port, other, JWKS, range="bytes=0-1") == []
            assert different(port, other, JWKS, range="bytes=0-1", if_range=tag) == []
            assert different(port, other, JWKS, if_modified_since="Wed, 01 Jan 2200 00:00:00 GMT") == []
            assert ask(port, "/%25reply").status == ask(other, "/%25reply").status == 404

        await asyncio.to_thread(compare)


@pytest.mark.parametrize("path", ["/jwks.json", "/a$uri;(b)'c"])
async def test_the_start_page(tmp_path: Path, keys: Path, path: str) -> None:
    """The 404 of / names the key directory's own set where serve does; not a path that nginx would take for more."""
    async with served(keys, tmp_path / "out", "--path", path) as (port, other):
        found = [one.partition(":")[0] for one in await asyncio.to_thread(different, port, other, "/")]
        assert found == ([] if path == "/jwks.json" else ["content-length", "body"])
        for key_file in (keys / "a.pem", keys / "jwks.toml"):
            key_file.unlink()
        out = tmp_path / "out"
        done = await asyncio.to_thread(run, "render", keys, "--out", out, "--format", "nginx", "--path", path)
        assert (done.returncode, done.stderr) == (0, "")
        body = (await asyncio.to_thread(ask, port, "/")).body
        assert json.loads(body)["detail"] == "Nothing is served at this path."


async def test_a_rotation_needs_no_reload(tmp_path: Path, keys: Path) -> None:
    """During renderings, each answer has the digest of its own bytes, none is lost, and the newest set arrives."""
    out = tmp_path / "out"
    seen: set[int] = set()
    wrong: list[Reply] = []
    stop = threading.Event()

    def read(port: int, coding: str) -> None:
        while not stop.is_set():
            reply = ask(port, JWKS, accept_encoding=coding)
            if reply.status != 200 or reply.fields["etag"] != f'"{digest(reply.body)}"':
                wrong.append(reply)
            if coding == "identity" and reply.status == 200:
                seen.add(len(json.loads(reply.body)["keys"]))

    async with served(keys, out) as (port, _):
        readers = [threading.Thread(target=read, args=(port, coding)) for coding in ("identity", "gzip", "br")]
        for one in readers:
            one.start()
        try:
            for count in (2, 3, 4, 5):
                (keys / f"{count}.pem").write_bytes(public_pem(key("P-256", count)))
                done = await asyncio.to_thread(run, "render", keys, "--out", out, "--format", "nginx")
                assert done.returncode == 0
                assert len(json.loads((await asyncio.to_thread(ask, port, JWKS)).body)["keys"]) == count
        finally:
            stop.set()
            for one in readers:
                await asyncio.to_thread(one.join)
        assert (wrong, seen - {1, 2, 3, 4, 5}) == ([], set())
        for path in (keys / "acme").iterdir():
            path.unlink()
        await asyncio.to_thread(run, "render", keys, "--out", out, "--format", "nginx")
        assert (await asyncio.to_thread(ask, port, f"/acme{JWKS}")).status == 404
        done = await asyncio.to_thread(run, "diff", keys, f"http://127.0.0.1:{port}", "--json")
        assert (done.returncode, {page["same_bytes"] for page in json.loads(done.stdout)["pages"]}) == (0, {True})


async def test_another_place(tmp_path: Path, keys: Path) -> None:
    """Where nginx sees the folder at another path, that path is set after the include."""
    out, other = tmp_path / "out", tmp_path / "mounted"
    await asyncio.to_thread(run, "render", keys, "--out", out, "--format", "nginx")
    out.rename(other)
    async with nginx(other, f'include "{other / INCLUDE}"; set $jwks_root "{other / FOLDER}";') as port:
        assert (await asyncio.to_thread(ask, port, JWKS)).status == 200


def replies(out: Path) -> set[str]:
    """List the bytes that nginx may send."""
    return {str(one.relative_to(out)) for one in (out / FOLDER / "replies").rglob("body")}


def test_replies_stay_for_one_more_run(tmp_path: Path, keys: Path) -> None:
    """What a request may still be reading is removed by the run after; the manifest owns it until then."""
    out = tmp_path / "out"
    kept = []
    for number in (5, 6, 6):
        (keys / "a.pem").write_bytes(public_pem(key("RSA", number)))
        assert run("render", keys, "--out", out, "--format", "nginx").returncode == 0
        kept.append(replies(out))
        manifest = json.loads((out / "manifest.json").read_bytes())
        there = {str(one.relative_to(out)) for one in (out / FOLDER).rglob("*") if one.is_symlink() or one.is_file()}
        assert {*manifest["nginx"], *manifest.get("spare", ())} == there
    first, second, third = kept
    assert first < second
    assert third < second
    assert first - third
    assert run("render", keys, "--out", out).returncode == 0
    assert {*json.loads((out / "manifest.json").read_bytes())} == {"files", "spare"}
    assert run("render", keys, "--out", out).returncode == 0
    assert not (out / FOLDER).exists()


async def test_an_issuer_at_fault(tmp_path: Path, keys: Path) -> None:
    """Its pages stay in nginx as they are, though the last run wrote none for nginx."""
    out = tmp_path / "out"
    await asyncio.to_thread(run, "render", keys, "--out", out)
    before = (out / "acme/.well-known/jwks.json").read_bytes()
    (keys / "acme" / "jwks.toml").write_text("max_age = 'soon'")
    for _ in range(2):
        done = await asyncio.to_thread(run, "render", keys, "--out", out, "--format", "nginx")
        assert (done.returncode, done.stderr[:19]) == (1, "jwks-server: /acme:")
    async with nginx(out, f'include "{out / INCLUDE}";') as port:
        reply = await asyncio.to_thread(ask, port, f"/acme{JWKS}")
        assert (reply.status, reply.body) == (200, before)
        assert reply.fields["cache-control"].startswith("public, max-age=61,")


@pytest.mark.parametrize("name", ['a"b', "a$b", "a;b", "a{b", "a\\b", "a\nb"])
def test_a_path_that_nginx_would_read_otherwise(tmp_path: Path, keys: Path, name: str) -> None:
    """A folder whose name is syntax for nginx is refused before anything is written."""
    done = run("render", keys, "--out", tmp_path / name, "--format", "nginx")
    assert (done.returncode, "[config-invalid]" in done.stderr, (tmp_path / name).exists()) == (2, True, False)


def test_what_is_not_ours_stays(tmp_path: Path, keys: Path) -> None:
    """A file in the place of a link is never replaced."""
    mine = tmp_path / "out" / FOLDER / f"pages{JWKS}%"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = run("render", keys, "--out", tmp_path / "out", "--format", "nginx")
    assert (done.returncode, "[output-unusable]" in done.stderr, mine.read_text()) == (2, True, "mine")


async def test_what_differs_is_documented(tmp_path: Path, keys: Path) -> None:
    """README's table of differences is right, row by row."""
    async with served(keys, tmp_path / "out") as (port, other):

        def both(path: str = JWKS, method: str = "GET", **fields: str) -> tuple[str, str]:
            replies = (ask(one, path, method, **fields) for one in (other, port))
            serve, ours = (f"{one.status} {one.fields.get('content-encoding', '')}".strip() for one in replies)
            return serve, ours

        def compare() -> None:
            assert both(if_match=ask(other, JWKS).fields["etag"]) == ("200", "412")
            assert both(if_unmodified_since="Wed, 01 Jan 2020 00:00:00 GMT") == ("200", "412")
            assert both(accept_encoding="gzip;q=0.5") == ("200 gzip", "200")
            assert both(accept_encoding="identity;q=0, *")[1] == "406"
            for path in (f"/{JWKS}", f"/a/..{JWKS}", JWKS.replace(".", "%2e")):
                assert both(path)[1] == "200"
            assert both(method="TRACE")[1] == "405"

        await asyncio.to_thread(compare)
