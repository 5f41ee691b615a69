"""kid FILE through the console."""

import json
import os
from pathlib import Path

import pytest
from support import PASSPHRASE, key, private_jwk, private_pem, public_pem, run, thumbprint

from jwks_server.keys.keyset import read_file


def test_every_scheme(tmp_path: Path) -> None:
    """Each key of the file has a kid under each scheme, the same from its private as from its public half."""
    (tmp_path / "private.pem").write_bytes(private_pem(key("RSA")) + private_pem(key("X25519")))
    (tmp_path / "public.pem").write_bytes(public_pem(key("RSA")) + public_pem(key("X25519")))
    private, public = (
        json.loads(run("kid", tmp_path / f"{name}.pem", "--json").stdout) for name in ("private", "public")
    )
    expected = read_file("x", public_pem(key("RSA")), None).keys[0]
    assert private[0] == {
        "kind": "RSA",
        "thumbprint": expected.thumbprint,
        "spki-sha256": expected.spki_sha256,
        "filename": "private",
    }
    assert private[1]["kind"] == "X25519"
    assert [one["thumbprint"] for one in private] == [one["thumbprint"] for one in public]


def test_table(tmp_path: Path) -> None:
    """For people it is a table."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    rows = [line.split() for line in run("kid", tmp_path / "a.pem").stdout.splitlines()]
    assert rows[0] == ["KIND", "SCHEME", "KID"]
    assert rows[3] == ["RSA", "filename", "a"]


def test_a_jwk(tmp_path: Path) -> None:
    """The kid that a JWK says comes first, since it goes before each scheme."""
    (tmp_path / "a.jwk").write_text(json.dumps(private_jwk(key("P-256"), kid="its own")))
    (named,) = json.loads(run("kid", tmp_path / "a.jwk", "--json").stdout)
    assert list(named.items())[:3] == [
        ("kind", "P-256"),
        ("jwk", "its own"),
        ("thumbprint", thumbprint(key("P-256"))),
    ]
    (tmp_path / "other.json").write_text("{}")
    assert "[jwk-missing]" in run("kid", tmp_path / "other.json").stderr


def test_passphrase(tmp_path: Path) -> None:
    """An encrypted key needs its passphrase."""
    (tmp_path / "a.pem").write_bytes(private_pem(key("P-256"), encrypted=True))
    (tmp_path / "passphrase").write_bytes(PASSPHRASE + b"\n")
    done = run("kid", tmp_path / "a.pem")
    assert (done.returncode, "[passphrase-missing]" in done.stderr) == (1, True)
    assert run("kid", tmp_path / "a.pem", "--passphrase-file", tmp_path / "passphrase").returncode == 0


def test_a_name_that_can_be_no_kid(tmp_path: Path) -> None:
    """Such a file has no kid under the scheme filename, and the others all the same."""
    path = os.fsencode(tmp_path) + b"/\xff.pem"
    Path(os.fsdecode(path)).write_bytes(public_pem(key("RSA")))
    (found,) = json.loads(run("kid", os.fsdecode(path), "--json").stdout)
    assert set(found) == {"kind", "thumbprint", "spki-sha256"}


@pytest.mark.parametrize(
    ("content", "exit_code", "code"),
    [
        (None, 2, "file-unreadable"),
        (b"", 1, "pem-missing"),
        (b"x" * 70_000, 1, "file-too-large"),
        ("folder", 2, "file-not-regular"),
    ],
)
@pytest.mark.parametrize("command", ["kid", "inspect"])
def test_refused(tmp_path: Path, command: str, content: bytes | str | None, exit_code: int, code: str) -> None:
    """A file without a key is one line that names it, with its code: 1 is a no, and 2 is no answer."""
    path = tmp_path / "a.pem"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    done = run(command, path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (exit_code, "", 1)
    assert str(path) in done.stderr
    assert f"[{code}]" in done.stderr


@pytest.mark.parametrize("command", ["kid", "inspect"])
def test_wrong_usage(command: str) -> None:
    """Without a file it is called wrongly."""
    done = run(command)
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
