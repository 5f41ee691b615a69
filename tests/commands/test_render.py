"""render DIR --out DIR2 through the console."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nginx import nginx
from support import key, private_pem, public_pem, run, serving, thumbprint

from jwks_server.commands.render import layout
from jwks_server.serving.representation import Representation, Variant

JWKS = ".well-known/jwks.json"
SUFFIXES = {"identity": "", "gzip": ".gz", "br": ".br"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with two keys."""
    path = tmp_path / "keys"
    path.mkdir()
    (path / "a.pem").write_bytes(private_pem(key("RSA")))
    (path / "b.pem").write_bytes(public_pem(key("P-256")))
    return path


async def test_the_bytes_and_headers_of_the_server(tmp_path: Path, keys: Path) -> None:
    """In every coding, body and headers are those that serve answers with; the manifest names them."""
    out = tmp_path / "deep" / "out"
    done = await asyncio.to_thread(run, "render", keys, "--out", out, "--max-age", "77")
    assert (done.returncode, done.stderr) == (0, "")
    manifest = {file["coding"]: file for file in json.loads((out / "manifest.json").read_bytes())["files"]}
    async with serving(keys, "--max-age", "77") as server, aiohttp.ClientSession(auto_decompress=False) as client:
        for coding, suffix in SUFFIXES.items():
            async with client.get(server.url, headers={"Accept-Encoding": coding}) as reply:
                assert (out / f"{JWKS}{suffix}").read_bytes() == await reply.read()
                sent = {name.lower(): value for name, value in reply.headers.items()}
            file = manifest[coding]
            assert (file["path"], file["file"]) == (f"/{JWKS}", f"{JWKS}{suffix}")
            assert {name.lower(): value for name, value in file["headers"].items()}.items() == {
                (name, value) for name, value in sent.items() if name not in {"content-length", "date"}
            }
    lines = (out / "_headers").read_text().splitlines()
    assert lines[0] == f"/{JWKS}"
    assert "  Cache-Control: public, max-age=77, stale-if-error=86400" in lines
    assert sorted(path.name for path in (out / ".well-known").iterdir()) == [
        "jwks.json",
        "jwks.json.br",
        "jwks.json.gz",
    ]


async def test_nginx_serves_the_same(tmp_path: Path, keys: Path) -> None:
    """What nginx sends of the folder is what serve sends; diff finds nothing, and after a rotation names the key."""
    out = tmp_path / "out"
    await asyncio.to_thread(run, "render", keys, "--out", out)
    async with nginx(out) as port, serving(keys) as server, aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{port}/{JWKS}"
        async with client.get(url) as static, client.get(server.url) as live:
            assert static.content_type == live.content_type
            assert await static.read() == await live.read()
        for where in (url, server.url):
            done = await asyncio.to_thread(run, "diff", keys, where)
            assert (done.returncode, done.stdout) == (0, f"{where}: no difference.\n")
        (keys / "c.pem").write_bytes(public_pem(key("P-256", 1)))
        await server.log("key-published", file="c.pem")
        done = await asyncio.to_thread(run, "diff", keys, url)
        assert done.returncode == 1
        assert ["missing", thumbprint(key("P-256", 1))] in [line.split() for line in done.stdout.splitlines()]
        await asyncio.to_thread(run, "render", keys, "--out", out)
        assert (await asyncio.to_thread(run, "diff", keys, url)).returncode == 0


def test_what_is_the_same_is_not_written_again(tmp_path: Path, keys: Path) -> None:
    """A second run leaves every file's inode and times as they are, so that caches stay valid."""
    out = tmp_path / "out"
    run("render", keys, "--out", out)
    before = {path: path.stat() for path in out.rglob("*")}
    run("render", keys, "--out", out)
    assert {path: path.stat() for path in out.rglob("*")} == before


def test_outdated_files_go_and_others_stay(tmp_path: Path, keys: Path) -> None:
    """Files of the last run that this one doesn't write are removed; what render never wrote stays."""
    out = tmp_path / "out"
    run("render", keys, "--out", out, "--path", "/old.json")
    (out / "index.html").write_text("mine")
    run("render", keys, "--out", out)
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        *(f"{JWKS}{suffix}" for suffix in SUFFIXES.values()),
        *("index.html", "_headers", "manifest.json"),
    }


def test_a_manifest_names_no_file_elsewhere(tmp_path: Path, keys: Path) -> None:
    """A manifest that was tampered with makes render remove nothing outside of the folder."""
    out, victim = tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    victim.write_text("mine")
    (out / "manifest.json").write_text(json.dumps({"files": [{"file": "../victim"}, {"file": str(victim)}]}))
    assert run("render", keys, "--out", out).returncode == 0
    assert victim.read_text() == "mine"


def test_readers_never_see_half_a_file(tmp_path: Path, keys: Path) -> None:
    """While the set is rendered again and again, a reader finds one whole version or the other."""
    out, extra = tmp_path / "out", keys / "c.pem"
    run("render", keys, "--out", out)
    path = out / JWKS
    seen: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(len(json.loads(path.read_bytes())["keys"]))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(6):
        if number % 2:
            extra.unlink()
        else:
            extra.write_bytes(public_pem(key("Ed25519")))
        assert run("render", keys, "--out", out).returncode == 0
        while (3 - number % 2) not in seen and reader.is_alive():
            stop.wait(0.001)
    stop.set()
    reader.join()
    assert seen == {2, 3}
    assert not list(out.rglob("*.draft"))


def test_nothing_to_publish(tmp_path: Path, keys: Path) -> None:
    """Without a key nothing is changed, and that is no success."""
    out = tmp_path / "out"
    run("render", keys, "--out", out)
    before = (out / JWKS).read_bytes()
    for path in keys.iterdir():
        path.write_bytes(b"")
    done = run("render", keys, "--out", out)
    assert (done.returncode, "[no-keys]" in done.stderr) == (1, True)
    assert (out / JWKS).read_bytes() == before


@pytest.mark.parametrize("out", [".", "public", ".."])
def test_apart_from_the_keys(keys: Path, out: str) -> None:
    """A folder that holds the key directory, or is in it, is refused: private keys would be published."""
    done = run("render", keys, "--out", keys / out)
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
    assert sorted(path.name for path in keys.iterdir()) == ["a.pem", "b.pem"]


@pytest.mark.parametrize("damage", ["manifest", "file"])
def test_unusable_output(tmp_path: Path, keys: Path, damage: str) -> None:
    """A folder that can't be written, or holds another manifest.json, is named; it is no answer."""
    out = tmp_path / "out"
    if damage == "file":
        out.write_text("not a folder")
    else:
        out.mkdir()
        (out / "manifest.json").write_text('{"name": "an app"}')
    done = run("render", keys, "--out", out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(out) in done.stderr
    assert "[output-unusable]" in done.stderr


def test_wrong_usage(keys: Path) -> None:
    """Without --out it is called wrongly."""
    done = run("render", keys)
    assert (done.returncode, "--out" in done.stderr) == (2, True)


def test_a_page_whose_path_is_a_folder_too() -> None:
    """Such a page gets an ending, since a name can't be both."""
    variant = Variant("identity", b"{}", '"x"', {}, {})
    pages: dict[str, Any] = {path: Representation((variant,)) for path in ("/a/b", "/a/b/c", "/a/bc")}
    assert [file.name for file in layout(pages)] == ["a/b.json", "a/b/c", "a/bc"]
