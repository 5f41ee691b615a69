"""diff DIR URL through the console."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from edge import answering
from support import certificate_pem, certify, key, public_pem, run, serving, thumbprint

from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Settings, Timing
from jwks_server.source.issuers import published, set_path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with two keys."""
    path = tmp_path / "keys"
    path.mkdir()
    (path / "a.pem").write_bytes(certificate_pem(certify(key("RSA"))))
    (path / "b.pem").write_bytes(public_pem(key("P-256")))
    return path


def body(directory: Path) -> bytes:
    """Make what serve would send."""
    settings = Settings(
        directory=directory,
        path="/.well-known/jwks.json",
        media_type="application/json",
        patterns=("*.pem",),
        passphrase_file=None,
        passphrase=None,
        policy=Policy(),
        timing=Timing(),
        state=None,
    )
    page = published(settings).entries["/"].pages[set_path("/", settings)]
    return page.variants[0].body


async def diffed(*arguments: str | Path) -> tuple[int, Mapping[str, Any]]:
    """Run diff and read its JSON about the one page."""
    done = await asyncio.to_thread(run, "diff", *arguments, "--json")
    (page,) = json.loads(done.stdout)["pages"]
    return done.returncode, page


async def test_a_live_server(keys: Path) -> None:
    """There is no difference to the server of the same directory, by its full URL or by its origin."""
    async with serving(keys) as server:
        for url in (server.url, f"http://127.0.0.1:{server.port}", f"http://127.0.0.1:{server.port}/"):
            code, page = await diffed(keys, url)
            assert (code, page["same_bytes"], page["differences"], page["max_age"]) == (0, True, [], 300)
            assert page["url"] == server.url
            assert page["etag"]["url"] == page["etag"]["directory"]


async def test_other_options_are_differing_members(keys: Path) -> None:
    """A member that differs is named with both values."""
    async with serving(keys) as server:
        code, page = await diffed(keys, server.url, "--rsa-alg", "PS256")
        text = (await asyncio.to_thread(run, "diff", keys, server.url, "--rsa-alg", "PS256")).stdout
    assert code == 1
    assert page["differences"] == [
        {"what": "differs", "kid": thumbprint(key("RSA")), "member": "alg", "directory": "PS256", "url": "RS256"}
    ]
    assert ["differs", thumbprint(key("RSA")), "alg", '"PS256"', '"RS256"'] in [
        line.split() for line in text.splitlines()
    ]


async def test_a_stale_cache(keys: Path) -> None:
    """A cache that has kept an old set is told by its Age and ETag, with what is missing and what is extra."""
    old = body(keys)
    (keys / "b.pem").write_bytes(public_pem(key("P-256", 1)))
    lifetimes = "public, s-maxage=600, max-age=300"
    async with answering(old, Age="120", ETag='"old"', Cache_Control=lifetimes) as url:
        code, page = await diffed(keys, url)
        text = (await asyncio.to_thread(run, "diff", keys, url)).stdout
    assert code == 1
    assert (page["stale"], page["age"], page["max_age"], page["etag"]["url"]) == (True, 120, 600, '"old"')
    assert page["differences"] == [
        {"what": "missing", "kid": thumbprint(key("P-256", 1))},
        {"what": "extra", "kid": thumbprint(key("P-256"))},
    ]
    assert "Age 120 s, max-age 600 s" in text
    assert "A cache answered" in text


async def test_other_bytes_of_the_same_keys(keys: Path) -> None:
    """A set that was written anew is no difference, and said to be in other bytes."""
    async with answering(json.dumps(json.loads(body(keys)), indent=1).encode()) as url:
        done = await asyncio.to_thread(run, "diff", keys, url)
    assert (done.returncode, done.stdout) == (0, f"{url}: no difference, though in other bytes.\n")


async def test_a_key_served_twice(keys: Path) -> None:
    """The same kid twice breaks clients, so it is a difference."""
    document = json.loads(body(keys))
    document["keys"].append(document["keys"][0])
    async with answering(json.dumps(document).encode()) as url:
        code, page = await diffed(keys, url)
    assert (code, [one["what"] for one in page["differences"]]) == (1, ["repeated"])


@pytest.mark.parametrize(
    ("content", "status", "mentions"),
    [
        (b"<html>", 200, "JSON"),
        (b"[]", 200, "JSON object"),
        (b'{"keys": "none"}', 200, "JWK Set"),
        (b'{"keys": [1]}', 200, "JWK Set"),
        (b"[" * 100_000, 200, "JSON"),
        (b" " * (2**20 + 1), 200, "1 MiB"),
        (b'{"keys": []}', 404, "404"),
        (b'{"keys": []}', 301, "301"),
        (b"", 304, "304"),
    ],
)
async def test_no_answer(keys: Path, content: bytes, status: int, mentions: str) -> None:
    """A URL that gives no JWK Set is one line that says why, and exit code 2."""
    async with answering(content, status, Location="https://example.com") as url:
        done = await asyncio.to_thread(run, "diff", keys, url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert mentions in done.stderr
    assert "[fetch-failed]" in done.stderr


def test_unreachable(keys: Path) -> None:
    """So is one that can't be reached."""
    done = run("diff", keys, "http://127.0.0.1:1/keys")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "[fetch-failed]" in done.stderr


@pytest.mark.parametrize(
    "url", ["keys", "ftp://a/b", "http://", "http://[::1", "https://a:secret@b/c", "http://a:99999/"]
)
def test_no_url(keys: Path, url: str) -> None:
    """What is no URL is called wrongly; a password in it is not repeated."""
    done = run("diff", keys, url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "[config-invalid]" in done.stderr
    assert "secret" not in done.stderr


def test_nothing_to_compare(tmp_path: Path, keys: Path) -> None:
    """A missing directory is no answer; one without keys is a no."""
    done = run("diff", tmp_path / "missing", "http://127.0.0.1:1/")
    assert (done.returncode, "[directory-missing]" in done.stderr) == (2, True)
    for path in keys.iterdir():
        path.unlink()
    done = run("diff", keys, "http://127.0.0.1:1/")
    assert (done.returncode, "[no-keys]" in done.stderr) == (1, True)


async def test_an_answer_can_not_steer_the_terminal(keys: Path) -> None:
    """What the URL says is escaped before it is shown."""
    async with answering(b'{"keys": []}', ETag='"\x9b31m\xe9"') as url:
        done = await asyncio.to_thread(run, "diff", keys, url, PYTHONIOENCODING="utf-8:strict")
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x9b" not in done.stdout


async def test_an_issuer_at_fault(keys: Path) -> None:
    """It is named, and the others are compared; its own URL is compared with nobody else's set."""
    for name in ("acme", "beta"):
        (keys / name).mkdir()
        (keys / name / "a.pem").write_bytes(public_pem(key("Ed25519")))
    async with serving(keys) as server:
        (keys / "beta" / "jwks.toml").write_text("max_age = 'soon'")
        origin = f"http://127.0.0.1:{server.port}"
        for url, compared in (("", 2), ("/acme/.well-known/jwks.json", 1), ("/beta/.well-known/jwks.json", 0)):
            done = await asyncio.to_thread(run, "diff", keys, origin + url, "--json")
            document = json.loads(done.stdout)
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert done.stderr.startswith("jwks-server: /beta: jwks.toml line 1")
            assert document["faults"]["/beta"]["code"] == "policy-invalid"
            assert [page["differences"] for page in document["pages"]] == [[]] * compared
