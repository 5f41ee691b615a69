"""inspect FILE through the console."""

import asyncio
import json
import urllib.request
from pathlib import Path

from support import certificate_pem, certify, key, private_pem, public_pem, run, serving


async def test_the_same_members_as_the_server_publishes(tmp_path: Path) -> None:
    """What is shown of a key with its chain is what serve sends, with the same options and policy."""
    root = certify(key("RSA", 1), name="root", ca=True)
    chain = certificate_pem(certify(key("RSA"), (root, key("RSA", 1))), root)
    (tmp_path / "a.pem").write_bytes(private_pem(key("RSA")) + chain)
    (tmp_path / "jwks.toml").write_text('[keys."a.pem"]\nkid = "main"\naliases = ["old"]\n')
    async with serving(tmp_path, "--rsa-alg", "PS256") as server:
        served = await asyncio.to_thread(fetch, server.url)
    done = run("inspect", tmp_path / "a.pem", "--rsa-alg", "PS256", "--json")
    shown = json.loads(done.stdout)
    assert [one["jwk"] for one in shown] == served
    assert [one["jwk"]["kid"] for one in shown] == ["main", "old"]
    assert shown[0]["stage"] == "published"
    assert shown[0]["certificate_not_after"].endswith("Z")
    text = run("inspect", tmp_path / "a.pem").stdout
    assert "2 certificates" in text
    assert "(342 characters)" in text


def fetch(url: str) -> object:
    """Fetch the server's keys."""
    with urllib.request.urlopen(url) as reply:  # noqa: S310 - the test's own server
        return json.load(reply)["keys"]


def test_pending_and_revoked(tmp_path: Path) -> None:
    """A key that is not published yet says when it will be; one that is revoked shows nothing."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "jwks.toml").write_text('[keys."a.pem"]\npublish_at = 2099-01-01T00:00:00Z\n')
    assert "pending, publish_at 2099-01-01T00:00:00.000Z" in run("inspect", tmp_path / "a.pem").stdout
    (tmp_path / "jwks.toml").write_text('revoked = ["a"]\n')
    assert run("inspect", tmp_path / "a.pem", "--kid", "filename").stdout.startswith("Nothing")


def test_refused_by_policy(tmp_path: Path) -> None:
    """A kind that isn't allowed is refused as in serve; a wrong jwks.toml beside the file too."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("Ed448")))
    done = run("inspect", tmp_path / "a.pem")
    assert (done.returncode, "[kind-not-allowed]" in done.stderr) == (1, True)
    assert run("inspect", tmp_path / "a.pem", "--allow", "Ed448").returncode == 0
    (tmp_path / "jwks.toml").write_bytes(b"#" * 5_000_000)
    assert "[policy-invalid]" in run("inspect", tmp_path / "a.pem", "--allow", "Ed448").stderr
    (tmp_path / "jwks.toml").write_text("no toml")
    done = run("inspect", tmp_path / "a.pem", "--allow", "Ed448")
    assert (done.returncode, "[policy-invalid]" in done.stderr) == (1, True)
