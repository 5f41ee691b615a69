"""render DIR --out DIR2 through the console."""

import asyncio
import json
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from nginx import nginx
from support import HANG_SECONDS, SCRIPT, key, private_pem, public_pem, run, serving, thumbprint

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


def standing(path: Path) -> tuple[int, int, int]:
    """Tell a file's inode and the times of its changes; reading it is none."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def test_what_is_the_same_is_not_written_again(tmp_path: Path, keys: Path) -> None:
    """A second run leaves every file's inode and times as they are, so that caches stay valid."""
    out = tmp_path / "out"
    run("render", keys, "--out", out)
    before = {path: standing(path) for path in out.rglob("*")}
    run("render", keys, "--out", out)
    assert {path: standing(path) for path in out.rglob("*")} == before


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
    document = json.loads(run("render", keys, "--out", out, "--json").stdout)
    assert {file["file"] for file in document["files"]} == {JWKS + suffix for suffix in SUFFIXES.values()}
    assert document["faults"]["/"]["code"] == "no-keys"


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


METADATA = """[metadata]
authorization_endpoint = "https://id.example.com/authorize"
token_endpoint = "https://id.example.com/token"
response_types_supported = ["code"]
subject_types_supported = ["public"]
"""
OAUTH = ".well-known/oauth-authorization-server"


def discoverable(folder: Path, number: int = 0) -> None:
    """Make a folder an issuer with a key and discovery documents."""
    folder.mkdir(exist_ok=True)
    (folder / "a.pem").write_bytes(public_pem(key("P-384", number)))
    (folder / "jwks.toml").write_text(f'issuer = "https://id.example.com/{folder.name}"\n{METADATA}')


def files(out: Path) -> set[str]:
    """List all files below a folder."""
    return {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}


def named(out: Path) -> set[str]:
    """List all files that the manifest names, and itself and _headers."""
    told = json.loads((out / "manifest.json").read_bytes())
    assert told.keys() == {"files"}
    return {"manifest.json", "_headers", *(file["file"] for file in told["files"])}


def test_issuers_with_discovery_come_and_go(tmp_path: Path, keys: Path) -> None:
    """The directory's own RFC 8414 document has one name always, so that an issuer's never is in its way."""
    out = tmp_path / "out"
    discoverable(keys)
    for there in (True, False, True):
        if there:
            discoverable(keys / "acme")
        done = run("render", keys, "--out", out)
        assert (done.returncode, done.stderr) == (0, "")
        assert files(out) == named(out)
        assert f"{OAUTH}.json" in files(out)
        assert (f"{OAUTH}/acme" in files(out), (out / "acme").exists(), (out / OAUTH).exists()) == (there,) * 3
        for path in (keys / "acme").glob("*"):
            path.unlink()


@pytest.mark.parametrize(("every", "low", "high"), [(0, 900, 999), (300, 600, 699), (1000, 0, 0), (None, 900, 999)])
def test_no_cache_keeps_a_set_past_a_scheduled_change(
    tmp_path: Path, keys: Path, every: int | None, low: int, high: int
) -> None:
    """The max-age ends before the change, from the moment at which the next run replaces the files."""
    out = tmp_path / "out"
    due = datetime.fromtimestamp(int(time.time()) + 1000, UTC).isoformat()
    (keys / "jwks.toml").write_text(f'[keys."b.pem"]\npublish_at = {due}\n')
    flags = () if every is None else ("--every", str(every))
    assert run("render", keys, "--out", out, "--max-age", "3600", *flags).returncode == 0
    for file in json.loads((out / "manifest.json").read_bytes())["files"]:
        assert low <= int(file["headers"]["Cache-Control"].split("max-age=")[1].split(",")[0]) <= high


@pytest.mark.parametrize("swap", ["file-to-folder", "folder-to-file"])
def test_a_file_where_a_folder_was(tmp_path: Path, keys: Path, swap: str) -> None:
    """What the last run wrote is out of the way before this one needs the place."""
    out = tmp_path / "out"
    paths = ["/a", "/a/b"]
    for path in paths if swap == "file-to-folder" else reversed(paths):
        done = run("render", keys, "--out", out, "--path", path)
        assert (done.returncode, done.stderr) == (0, "")
        assert files(out) == named(out)


@pytest.mark.parametrize(
    ("folders", "path"),
    [
        (("acme", "acme.gz"), f"/{JWKS}"),
        (("manifest.json",), f"/{JWKS}"),
        (("_headers",), f"/{JWKS}"),
        (("keys",), "/keys"),
        ((), "/manifest.json"),
        ((), "/_headers"),
        ((), "/_headers/keys"),
        ((), "/.manifest.json.draft"),
        ((), f"/{OAUTH}.json"),
    ],
)
def test_names_that_collide(tmp_path: Path, keys: Path, folders: tuple[str, ...], path: str) -> None:
    """Two files of one name, or a file that is another's folder, are refused before anything is changed."""
    out = tmp_path / "out"
    run("render", keys, "--out", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    discoverable(keys)
    for folder in folders:
        discoverable(keys / folder)
    done = run("render", keys, "--out", out, "--path", path, "--pattern", "*.pem")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "[output-unusable]" in done.stderr
    assert {name: (out / name).read_bytes() for name in files(out)} == before


@pytest.mark.parametrize(
    ("mine", "again"),
    [
        ("_headers", False),  # a manifest's _headers is render's own
        *((name, again) for name in (JWKS, f"{JWKS}.gz", ".well-known", f"{JWKS}/index.html") for again in (0, 1)),
    ],
)
def test_what_is_not_ours_stays(tmp_path: Path, keys: Path, mine: str, again: bool) -> None:
    """A file that no manifest names is never replaced, nor is anything written beside it."""
    out = tmp_path / "out"
    if again:
        run("render", keys, "--out", out, "--path", "/old.json")
    (out / mine).parent.mkdir(parents=True, exist_ok=True)
    (out / mine).write_text("mine")
    before = files(out)
    done = run("render", keys, "--out", out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "[output-unusable]" in done.stderr
    assert (out / mine).read_text() == "mine"
    assert files(out) == before


def test_a_run_that_was_cut_off(tmp_path: Path, keys: Path) -> None:
    """The next one takes over what it had begun, though the keys have changed since."""
    out = tmp_path / "out"
    (out / ".well-known").mkdir(parents=True)
    for name in (JWKS, ".well-known/.jwks.json.gz.draft", "gone.json"):
        (out / name).write_text("old")
    (out / "manifest.json").write_text(json.dumps({"files": [], "writing": [JWKS, f"{JWKS}.gz", "gone.json"]}))
    assert run("render", keys, "--out", out).returncode == 0
    assert files(out) == named(out)


def test_a_name_that_is_too_long(tmp_path: Path, keys: Path) -> None:
    """That is found before anything is written."""
    out = tmp_path / "out"
    discoverable(keys / ("x" * 250))  # its own name will do, but not with the endings of the RFC 8414 document's file
    done = run("render", keys, "--out", out)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "[output-unusable]" in done.stderr
    assert not out.exists()


def test_a_failure_half_way(tmp_path: Path, keys: Path) -> None:
    """Where the disk doesn't take a file, every file is the one before, and no draft is left."""
    out = tmp_path / "out"
    run("render", keys, "--out", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    for number in (1, 2):
        (keys / f"{number}.pem").write_bytes(public_pem(key("RSA", number)))
    script = 'ulimit -f 2; exec "$@"'  # 1024 bytes
    done = subprocess.run(
        ["sh", "-c", script, "sh", SCRIPT, "render", keys, "--out", out],
        capture_output=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"[output-unusable]" in done.stderr
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_small_files_are_not_compressed(tmp_path: Path) -> None:
    """A coding that would save nothing, and so is never sent by serve, has no file."""
    keys, out = tmp_path / "keys", tmp_path / "out"
    keys.mkdir()
    assert run("render", keys, "--out", out, "--allow-empty").returncode == 0
    assert files(out) == {JWKS, "_headers", "manifest.json"}


@pytest.mark.parametrize("fault", ["jwks.toml", "only-jwks.toml", "root"])
def test_an_issuer_at_fault(tmp_path: Path, keys: Path, fault: str) -> None:
    """It is named, its files stay, the others are written; that is no success."""
    out = tmp_path / "out"
    for name in ("acme", "beta"):
        discoverable(keys / name)
    run("render", keys, "--out", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    broken = keys if fault == "root" else keys / "beta"
    if fault == "jwks.toml":
        (broken / "jwks.toml").write_text("max_age = 'soon'")
    else:
        (broken / "jwks.toml").write_text("max_age = 60")
        for path in broken.glob("*.pem"):
            path.unlink()
    (keys / "acme" / "a.pem").write_bytes(public_pem(key("RSA")))
    done = run("render", keys, "--out", out, "--json")
    issuer, code = "/" if fault == "root" else "/beta", "policy-invalid" if fault == "jwks.toml" else "no-keys"
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"jwks-server: {issuer}: ")
    document = json.loads(done.stdout)
    assert {path: one["code"] for path, one in document["faults"].items()} == {issuer: code}
    assert files(out) == named(out) == {"_headers", "manifest.json", *(file["file"] for file in document["files"])}
    assert {name for name in files(out) if before.get(name) != (out / name).read_bytes()}
    kept = {file["file"] for file in document["files"] if file["issuer"] == issuer}
    assert kept
    assert {name: (out / name).read_bytes() for name in kept} == {name: before[name] for name in kept}
    assert (out / "acme" / JWKS).read_bytes() != before[f"acme/{JWKS}"]


def test_a_folder_that_can_not_be_served(tmp_path: Path, keys: Path) -> None:
    """It costs nobody else, as in serve."""
    discoverable(keys / "a b")
    done = run("render", keys, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("jwks-server: /a b: ")
    assert "[issuer-name-invalid]" in done.stderr
    assert (tmp_path / "out" / JWKS).exists()


@pytest.mark.parametrize("link", ["folder", "file", "out"])
def test_links_that_lead_to_the_keys(tmp_path: Path, keys: Path, link: str) -> None:
    """A folder that holds keys by way of a link is refused too."""
    out = tmp_path / "out"
    discoverable(out)
    if link == "folder":
        (keys / "acme").symlink_to(out)
    elif link == "file":
        (keys / "c.pem").symlink_to(out / "a.pem")
    else:
        (out / "acme").symlink_to(keys)
    before = files(out)
    done = run("render", keys, "--out", out)
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
    assert files(out) == before
