"""What the commands promise at the edges: aliases, the age of an answer, links and long names in the output."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from edge import answering
from support import key, private_pem, public_pem, run, serving, sign, thumbprint

JWKS = ".well-known/jwks.json"
LONGEST_NAME = 255


def verified(token: str, *arguments: str | Path) -> dict[str, Any]:
    """Run verify, and read its JSON about the one source."""
    done = run("verify", "-", *arguments, "--json", stdin=token.encode())
    (found,) = json.loads(done.stdout)["sources"]
    return dict(found)


@pytest.mark.parametrize("revoked", ["main", "alias", None])
def test_revoked_under_any_of_its_names(tmp_path: Path, revoked: str | None) -> None:
    """A key that is revoked under one of its kids is told so under each, and not as one whose time is over."""
    (tmp_path / "a.pem").write_bytes(private_pem(key("P-256", 1)))
    (tmp_path / "b.pem").write_bytes(private_pem(key("P-256", 2)))
    (tmp_path / "jwks.toml").write_text(
        (f'revoked = ["{revoked}"]\n' if revoked else "")
        + '[keys."a.pem"]\nkid = "main"\naliases = ["alias"]\nremove_at = 2020-01-01T00:00:00Z\n'
    )
    for kid in ("main", "alias"):
        found = verified(sign(key("P-256", 1), "ES256", kid), tmp_path)
        assert (found["code"], found["file"]) == ("key-revoked" if revoked else "key-retired", "a.pem")


async def test_revoked_under_an_alias_after_its_file_is_gone(tmp_path: Path) -> None:
    """So is a key that only the state file still knows."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    for name, number in (("a.pem", 1), ("b.pem", 2)):
        (keys / name).write_bytes(public_pem(key("P-256", number)))
    (keys / "jwks.toml").write_text('[keys."a.pem"]\nkid = "main"\naliases = ["alias"]\n')
    async with serving(keys, "--state", str(state)):
        pass
    (keys / "a.pem").unlink()
    (keys / "jwks.toml").write_text('revoked = ["alias"]\n')
    found = await asyncio.to_thread(verified, sign(key("P-256", 1), "ES256", "main"), keys, "--state", state)
    assert found["code"] == "key-revoked"


@pytest.mark.parametrize(("same", "age", "stale"), [(False, "9", True), (False, "0", False), (True, "9", False)])
async def test_stale_is_a_difference_from_a_cache(tmp_path: Path, *, same: bool, age: str, stale: bool) -> None:
    """An answer is stale where it differs and a cache gave it; an old one that is right isn't, nor a new wrong one."""
    keys, out = tmp_path / "keys", tmp_path / "out"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    await asyncio.to_thread(run, "render", keys, "--out", out)
    body = (out / JWKS).read_bytes() if same else b'{"keys":[]}'
    async with answering(body, Content_Type="application/json", Age=age) as url:
        done = await asyncio.to_thread(run, "diff", keys, url, "--json")
        told = await asyncio.to_thread(run, "diff", keys, url)
    (page,) = json.loads(done.stdout)["pages"]
    assert (page["stale"], bool(page["differences"])) == (stale, not same)
    assert ("A cache answered" in told.stdout) is stale


async def test_cache_beyond_its_time() -> None:
    """The time until a cache asks again is never negative, however old its answer is."""
    token = sign(key("P-256", 1), "ES256", thumbprint(key("P-256", 1)))
    async with answering(b'{"keys":[]}', Age="900", Cache_Control="max-age=300") as url:
        found = await asyncio.to_thread(verified, token, url)
    assert found["reason"].endswith("The answer is 900 s old; the cache asks again in 0 s.")


def test_link_in_the_output_is_replaced(tmp_path: Path) -> None:
    """A link in the place of a file gives way to the file, though what it leads to has the same bytes."""
    keys, out, elsewhere = tmp_path / "keys", tmp_path / "out", tmp_path / "elsewhere.json"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    assert run("render", keys, "--out", out).returncode == 0
    written = (out / JWKS).read_bytes()
    (out / JWKS).rename(elsewhere)
    (out / JWKS).symlink_to(elsewhere)
    assert run("render", keys, "--out", out).returncode == 0
    assert not (out / JWKS).is_symlink()
    elsewhere.write_bytes(b"changed by another program")
    assert (out / JWKS).read_bytes() == written


@pytest.mark.parametrize("excess", [0, 1])
def test_longest_name_in_the_output(tmp_path: Path, excess: int) -> None:
    """A name that a file system just has room for is written; one more byte is refused before anything is changed."""
    keys, out = tmp_path / "keys", tmp_path / "out"
    name = "x" * (LONGEST_NAME - len("..gz.draft") + excess)
    (keys / name).mkdir(parents=True)
    (keys / name / "a.pem").write_bytes(public_pem(key("P-384")))
    (keys / name / "jwks.toml").write_text(
        f'issuer = "https://id.example.com/{name}"\n[metadata]\n'
        'authorization_endpoint = "https://id.example.com/authorize"\n'
        'token_endpoint = "https://id.example.com/token"\n'
        'response_types_supported = ["code"]\nsubject_types_supported = ["public"]\n'
    )
    done = run("render", keys, "--out", out)
    if excess:
        assert (done.returncode, "[output-unusable]" in done.stderr, out.exists()) == (2, True, False)
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert (out / ".well-known" / "oauth-authorization-server" / f"{name}.gz").is_file()
