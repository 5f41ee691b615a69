"""check DIR through the console."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support import certificate_pem, certify, key, private_jwk, private_pem, public_pem, run, serving, thumbprint

SOON = "2099-01-01T00:00:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"


def checked(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run check and read its JSON about the directory itself."""
    done = run("check", *arguments, "--json")
    document: dict[str, Any] = json.loads(done.stdout)["issuers"]["/"]
    return done.returncode, document


def test_good(tmp_path: Path) -> None:
    """Good files are a table of their kids, and success."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "b.pem").write_bytes(public_pem(key("P-256")))
    done = run("check", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows == [
        ["FILE", "VERDICT", "KID", "ALG"],
        ["a.pem", "published", thumbprint(key("RSA")), "RS256"],
        ["b.pem", "published", thumbprint(key("P-256")), "ES256"],
    ]


def test_every_verdict(tmp_path: Path) -> None:
    """Each file has the verdict that the files and the policy give it; one refused file is exit code 1."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "again.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "cut.pem").write_bytes(public_pem(key("RSA"))[:-30])
    for number, name in enumerate(("later", "past", "revoked")):
        (tmp_path / f"{name}.pem").write_bytes(public_pem(key("P-256", number)))
    (tmp_path / "jwks.toml").write_text(
        f'revoked = ["{thumbprint(key("P-256", 2))}"]\n'
        f'[keys."later.pem"]\npublish_at = {SOON}\n[keys."past.pem"]\nremove_at = {LONG_AGO}\n'
    )
    code, document = checked(tmp_path)
    assert code == 1
    assert [(file["file"], file["verdict"]) for file in document["files"]] == [
        ("a.pem", "published"),
        ("again.pem", "duplicate"),
        ("cut.pem", "refused"),
        ("later.pem", "pending"),
        ("past.pem", "removed"),
        ("revoked.pem", "revoked"),
    ]
    text = run("check", tmp_path).stdout
    assert "the same key as in a.pem" in text
    assert "[pem-malformed]" in text
    assert "until 2099-01-01T00:00:00.000Z" in text
    assert "since 2020-01-01T00:00:00.000Z" in text


def test_findings_change_no_exit_code(tmp_path: Path) -> None:
    """What is allowed but will hurt someone is printed, with its code."""
    (tmp_path / "a.pem").write_bytes(private_pem(key("P-256")))
    (tmp_path / "a.pem").chmod(0o644)
    code, document = checked(tmp_path)
    assert code == 0
    assert {finding["code"] for finding in document["findings"]} == {"no-rsa", "private-key-exposed"}
    assert "a.pem: Every user may read this private key" in run("check", tmp_path).stdout


def test_wrong_policy(tmp_path: Path) -> None:
    """A wrong jwks.toml is named with its line."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "jwks.toml").write_text("# first\nmax_age = 'soon'\n")
    code, document = checked(tmp_path)
    assert code == 1
    assert document["fault"]["code"] == "policy-invalid"
    assert "line 2" in document["fault"]["reason"]
    assert "[policy-invalid]" in run("check", tmp_path).stdout


def test_no_key(tmp_path: Path) -> None:
    """A set without a key is exit code 1, whether it would be published or not."""
    assert checked(tmp_path)[1]["fault"]["code"] == "no-keys"
    assert run("check", tmp_path).returncode == 1
    assert run("check", tmp_path, "--allow-empty").returncode == 1
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "jwks.toml").write_text('kid = "filename"\nrevoked = ["a"]\n')
    code, document = checked(tmp_path)
    assert (code, document["fault"], document["files"][0]["verdict"]) == (1, None, "revoked")


def test_an_entry_that_matches_nothing(tmp_path: Path) -> None:
    """A mistyped kid or file name in jwks.toml is a finding that names the nearest."""
    (tmp_path / "2026-11.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "jwks.toml").write_text(
        'kid = "filename"\nrevoked = ["2026-1l"]\n[keys."2026-11.pme"]\nalg = "PS256"\n'
    )
    code, document = checked(tmp_path)
    assert code == 0
    assert [(one["code"], one["subject"]) for one in document["findings"]] == [
        ("policy-entry-unmatched", "2026-1l"),
        ("policy-entry-unmatched", "2026-11.pme"),
    ]
    text = run("check", tmp_path).stdout
    assert 'did you mean "2026-11"?' in text
    assert 'did you mean "2026-11.pem"?' in text


@pytest.mark.parametrize(("name", "code"), [("missing", "directory-missing"), ("file", "directory-unreadable")])
def test_no_answer(tmp_path: Path, name: str, code: str) -> None:
    """A directory that can't be read is exit code 2, and one line on standard error."""
    (tmp_path / "file").write_bytes(b"")
    done = run("check", tmp_path / name)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"[{code}]" in done.stderr


def test_flags_of_serve_mean_the_same(tmp_path: Path) -> None:
    """The options about the keys are those of serve, variables included."""
    (tmp_path / "a.key").write_bytes(public_pem(key("RSA")))
    (tmp_path / "b.key").write_bytes(public_pem(key("Ed448")))
    done = run("check", tmp_path, "--rsa-alg", "PS512", "--kid", "filename", JWKS_SERVER_PATTERN="*.key")
    assert (done.returncode, done.stdout.count("kind-not-allowed")) == (1, 1)
    assert run("check", "--allow", "Ed448", JWKS_SERVER_DIR=str(tmp_path), JWKS_SERVER_PATTERN="*.key").returncode == 0
    assert ["a.key", "published", "a", "PS512"] in [line.split() for line in done.stdout.splitlines()]


async def test_the_same_as_the_server_says(tmp_path: Path) -> None:
    """Every kid that serve logs as published is one that check tells, and the other way round."""
    (tmp_path / "a.pem").write_bytes(certificate_pem(certify(key("P-384"))))
    (tmp_path / "b.pem").write_bytes(private_pem(key("RSA")) + public_pem(key("Ed25519")))
    (tmp_path / "c.pem").write_bytes(b"nothing")
    async with serving(tmp_path) as server:
        logged = {(log["file"], log["kid"]) for log in server.logs if log["event"] == "key-published"}
        _, document = await asyncio.to_thread(checked, tmp_path)
    told = {(file["file"], file["kid"]) for file in document["files"] if file["verdict"] == "published"}
    assert told == logged
    assert len(logged) == 3


async def test_retiring_keys_are_known_from_the_state_file(tmp_path: Path) -> None:
    """With --state, a key whose file is gone is retiring, as the server has it."""
    keys, state = tmp_path / "keys", tmp_path / "state.json"
    keys.mkdir()
    for number in (0, 1):
        (keys / f"{number}.pem").write_bytes(public_pem(key("P-256", number)))
    flags = ("--state", str(state), "--retain", "3600")
    async with serving(keys, *flags) as server:
        (keys / "0.pem").unlink()
        await server.log("key-retiring", file="0.pem")
        server.process.terminate()
        await server.end()
    _, document = checked(keys, *flags)
    assert [(file["file"], file["verdict"]) for file in document["files"]] == [
        ("1.pem", "published"),
        ("0.pem", "retiring"),
    ]


def test_a_damaged_state_file_is_left_alone(tmp_path: Path) -> None:
    """Who only looks doesn't rename it; it is no answer."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    state = tmp_path / "state.json"
    state.write_text("{")
    done = run("check", tmp_path, "--state", state)
    assert (done.returncode, "[state-damaged]" in done.stderr) == (2, True)
    assert state.read_text() == "{"


def test_names_can_not_steer_the_terminal(tmp_path: Path) -> None:
    """Control characters in a file's name are escaped."""
    (tmp_path / "\x1b[31mred.pem").write_bytes(b"")
    assert "\x1b" not in run("check", tmp_path).stdout


@pytest.mark.parametrize("remove_at", [SOON, LONG_AGO])
def test_revoked_by_thumbprint(tmp_path: Path, remove_at: str) -> None:
    """A key is revoked whatever its kid and its dates are, where jwks.toml names its thumbprint."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "b.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "jwks.toml").write_text(
        f'kid = "filename"\nrevoked = ["{thumbprint(key("P-256"))}"]\n[keys."b.pem"]\nremove_at = {remove_at}\n'
    )
    code, document = checked(tmp_path)
    assert code == 0
    assert [(file["kid"], file["verdict"]) for file in document["files"]] == [("a", "published"), ("b", "revoked")]


def test_ignored_files_are_listed(tmp_path: Path) -> None:
    """Files whose names don't match --pattern are listed with the reason; hidden ones and jwks.toml are not."""
    for name in ("a.pem", "private.key", "public.PEM", ".hidden", "jwks.toml"):
        (tmp_path / name).write_bytes(public_pem(key("RSA")) if name.startswith("a") else b"")
    code, document = checked(tmp_path)
    assert code == 0
    assert [one["file"] for one in document["ignored"]] == ["private.key", "public.PEM"]
    done = run("check", tmp_path)
    assert "private.key  ignored\n    The name doesn't match --pattern.\n" in done.stdout


def test_json_files_that_are_no_keys(tmp_path: Path) -> None:
    """The files that lie beside keys when *.json becomes a pattern change neither the set nor the exit code."""
    keys, state = tmp_path / "keys", tmp_path / "keys" / "state.json"
    keys.mkdir()
    (keys / "a.pem").write_bytes(public_pem(key("RSA")))
    _, alone = checked(keys)
    state.write_text('{"version": 2, "issuers": {}}\n')
    (keys / "package.json").write_text('{"name": "keys", "keywords": ["keys"]}')
    (keys / "openid-configuration.json").write_text('{"issuer": "https://a.example", "jwks_uri": "https://a.example/"}')
    (keys / "tests").mkdir()
    (keys / "tests" / "list.json").write_text("[1]")
    code, document = checked(keys, "--state", state)
    assert (code, document["files"], document["findings"]) == (0, alone["files"], alone["findings"])
    assert [one["file"] for one in document["ignored"]] == ["openid-configuration.json", "package.json", "state.json"]
    assert list(json.loads(run("check", keys, "--json").stdout)["issuers"]) == ["/"]
    assert "neither a JWK nor a JWK Set" in run("check", keys).stdout


def test_a_private_jwk_that_everyone_may_read(tmp_path: Path) -> None:
    """It is the finding that it is for PEM; of a secret key nothing is published."""
    for name, members in (("a.json", private_jwk(key("P-256"), kid="k")), ("oct.jwk", {"kty": "oct", "k": "AAAA"})):
        (tmp_path / name).write_text(json.dumps(members))
        (tmp_path / name).chmod(0o644)
    code, document = checked(tmp_path)
    assert code == 1
    assert ("private-key-exposed", "a.json") in {(one["code"], one["subject"]) for one in document["findings"]}
    assert [(one["file"], one.get("kid"), one.get("code")) for one in document["files"]] == [
        ("a.json", "k", None),
        ("oct.jwk", None, "key-symmetric"),
    ]


def test_a_set_without_keys_names_what_was_ignored(tmp_path: Path) -> None:
    """The fault mentions --pattern and the ignored names, and its label is the folder."""
    for folder in (tmp_path, tmp_path / "ok"):
        folder.mkdir(exist_ok=True)
        (folder / "private.key").write_bytes(b"")
    (tmp_path / "ok" / "jwks.toml").write_bytes(b"")
    done = run("check", tmp_path)
    assert done.returncode == 1
    assert f"{tmp_path}/ok: No file in {tmp_path}/ok whose name matches --pattern gives a key" in done.stdout
    assert "(ignored: private.key)" in done.stdout
    assert "\n/" not in done.stdout.replace(f"\n{tmp_path}", "")
