"""verify TOKEN SOURCE... through the console."""

import asyncio
import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from edge import answering
from support import HANG_SECONDS, SCRIPT, build, key, private_pem, public_pem, run, serving, sign, thumbprint

from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy

ALGS = {
    "RSA": "RS256",
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "Ed25519": "EdDSA",
    "Ed448": "EdDSA",
    "secp256k1": "ES256K",
}
ALLOW = ("--allow", "Ed448", "--allow", "secp256k1")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with a key of each kind."""
    path = tmp_path / "keys"
    path.mkdir()
    for kind in ALGS:
        (path / f"{kind}.pem").write_bytes(private_pem(key(kind)))
    return path


def verified(token: str, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Run verify with the token on standard input, and read its JSON about the first source."""
    done = run("verify", "-", *arguments, *ALLOW, "--json", stdin=token.encode())
    assert token.rpartition(".")[2] not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["sources"][0]
    return done.returncode, found


def token(kind: str = "P-256", number: int | None = None, *, alg: str = "", kid: str | None = None) -> str:
    """Sign a token with one of the keys, or with another of the kind."""
    signer = key(kind) if number is None else key(kind, number)
    return sign(signer, alg or ALGS[kind], thumbprint(key(kind)) if kid is None else kid)


def encoded(header: object) -> str:
    """Write a token with a header of one's own."""
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode() + ".e30.c2ln"


@pytest.mark.parametrize("kind", ALGS)
async def test_every_kind(keys: Path, kind: str) -> None:
    """The key is found in the directory and at the server's URL; a forged signature is refused at both."""
    async with serving(keys, *ALLOW) as server:
        for source in (keys, server.url):
            code, found = await asyncio.to_thread(verified, token(kind), source)
            assert (code, found["code"], found["kid"]) == (0, "verified", thumbprint(key(kind)))
            code, found = await asyncio.to_thread(verified, token(kind, 1), source)
            assert (code, found["code"]) == (1, "signature-wrong")


def test_for_people(keys: Path) -> None:
    """The table names the source, the key and its file."""
    done = run("verify", f"  Bearer {token('RSA')}\n", keys, *ALLOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == [str(keys), "/", "verified", thumbprint(key("RSA")), "RSA.pem"]


def test_unknown_kid(keys: Path) -> None:
    """A kid that no key has is said; if a key made the signature all the same, it is named."""
    code, found = verified(token(number=1, kid="other"), keys)
    assert (code, found["code"], thumbprint(key("P-256")) in found["reason"]) == (1, "kid-unknown", False)
    code, found = verified(token(kid="other"), keys)
    assert (code, found["code"], thumbprint(key("P-256")) in found["reason"]) == (1, "kid-unknown", True)


def test_without_a_kid(keys: Path) -> None:
    """A token that names no key is tried with each."""
    header, payload, signature = token().split(".")
    bare = encoded({"alg": "ES256"}).split(".")[0]
    assert verified(f"{bare}.{payload}.{signature}", keys)[1]["code"] == "signature-wrong"
    assert len(header) > len(bare)


def signed(header: dict[str, object], kind: str = "P-256") -> str:
    """Sign a token with a header of one's own."""
    members = {"alg": ALGS[kind], "kid": thumbprint(key(kind)), **header}
    signing_input = encoded(members).rpartition(".")[0]
    return f"{signing_input}.{_signature(key(kind), signing_input)}"


def _signature(private: Any, signing_input: str) -> str:
    r, s = decode_dss_signature(private.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        {"signer": "arn:aws:elasticloadbalancing:eu-1:1:loadbalancer/app/a/b", "client": "c", "exp": 1},
        {"x5c": ["A" * 2000]},
        {"b64": True, "crit": ["b64"]},
    ],
)
def test_further_header_members(keys: Path, header: dict[str, object]) -> None:
    """Private members and long ones in a token's header are no fault (RFC 7515 section 4.3)."""
    code, found = verified(signed(header), keys)
    assert (code, found["code"]) == (0, "verified")


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 1}, {"crit": ["exp"]}, {"crit": 5}, {"typ": 1}, {"b64": False}, {"x5c": "A"}]
)
def test_a_header_that_must_be_refused(keys: Path, header: dict[str, object]) -> None:
    """What is critical and unknown, or malformed, is the token's fault and not the key's (RFC 7515 section 4.1.11)."""
    done = run("verify", "-", keys, *ALLOW, stdin=signed(header).encode())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "[token-malformed]" in done.stderr
    assert "header" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(None, "verified"), (1, "signature-wrong")])
async def test_keys_without_alg(keys: Path, number: int | None, code: str) -> None:
    """Keys of other types, and one that is malformed, don't end the search."""
    files = [read_file(path.name, path.read_bytes(), None) for path in keys.iterdir()]
    jwks = json.loads(build(files, Policy(allow=frozenset({"Ed448", "secp256k1"}))).body)
    bare = [{name: one[name] for name in one if name not in {"alg", "kid"}} for one in jwks["keys"]]
    header, payload, _ = signed({}).split(".")
    header = encoded({"alg": "ES256"}).split(".")[0]
    signer = key("P-256") if number is None else key("P-256", number)
    text = f"{header}.{payload}.{_signature(signer, f'{header}.{payload}')}"
    async with answering(json.dumps({"keys": [{"kty": "RSA"}, *bare]}).encode()) as url:
        found = await asyncio.to_thread(verified, text, url)
    assert (found[0], found[1]["code"]) == (0 if code == "verified" else 1, code)


def test_another_alg(keys: Path) -> None:
    """A key is for one alg; a token with another is refused before its signature is looked at."""
    code, found = verified(token("RSA", alg="PS256"), keys)
    assert (code, found["code"]) == (1, "token-alg-mismatch")
    assert "PS256" in found["reason"]
    assert verified(token("RSA", alg="PS256"), keys, "--rsa-alg", "PS256")[0] == 0


def test_a_key_for_encryption(keys: Path) -> None:
    """A key with use enc verifies nothing."""
    (keys / "jwks.toml").write_text('[keys."RSA.pem"]\nuse = "enc"\n')
    code, found = verified(token("RSA"), keys)
    assert (code, found["code"]) == (1, "token-alg-mismatch")


@pytest.fixture
def issuers(tmp_path: Path) -> Path:
    """Make a directory with two issuers, each with a key of its own."""
    for number, name in enumerate(("a", "b")):
        (tmp_path / "issuers" / name).mkdir(parents=True)
        (tmp_path / "issuers" / name / "k.pem").write_bytes(public_pem(key("P-256", number)))
    return tmp_path / "issuers"


def rows(text: str, directory: Path, *flags: str | Path) -> tuple[int, list[tuple[str, str | None, str | None]]]:
    """Run verify; read each row's code, issuer and file."""
    done = run("verify", "-", directory, *flags, "--json", stdin=text.encode())
    found = json.loads(done.stdout)["sources"]
    return done.returncode, [(one["code"], one["issuer"], one["file"]) for one in found]


def test_each_issuer_by_itself(issuers: Path) -> None:
    """The issuer whose key verifies is named; another's key with the same kid neither hides it nor stands for it."""
    kid = ("--kid", "filename")
    assert rows(sign(key("P-256", 1), "ES256", "k"), issuers, *kid) == (0, [("verified", "/b", "k.pem")])
    assert rows(sign(key("P-256", 2), "ES256", "k"), issuers, *kid) == (
        1,
        [("signature-wrong", "/a", "k.pem"), ("signature-wrong", "/b", "k.pem")],
    )
    assert rows(sign(key("P-256", 1), "ES256", "other"), issuers, *kid) == (1, [("kid-unknown", "/b", None)])
    assert rows(sign(key("P-256", 2), "ES256", "other"), issuers, *kid) == (1, [("kid-unknown", None, None)])


def test_an_issuer_at_fault_hides_no_other(issuers: Path) -> None:
    """What is wrong with one issuer is told only where no other knows the key, and as a row."""
    (issuers / "a" / "jwks.toml").write_text("no toml")
    known, unknown = (sign(key("P-256", 1), "ES256", kid) for kid in (thumbprint(key("P-256", 1)), "other"))
    assert rows(known, issuers) == (0, [("verified", "/b", "k.pem")])
    assert rows(sign(key("P-256", 2), "ES256", "other"), issuers) == (1, [("policy-invalid", "/a", None)])
    assert rows(unknown, issuers) == (1, [("kid-unknown", "/b", None), ("policy-invalid", "/a", None)])
    (issuers / "b" / "jwks.toml").write_text('[keys."k.pem"]\npublish_at = 2099-01-01T00:00:00Z')
    assert rows(known, issuers) == (1, [("key-pending", "/b", "k.pem")])


@pytest.mark.parametrize("file", ["P-256.pem", None])
def test_revoked_by_thumbprint(tmp_path: Path, file: str | None) -> None:
    """A revoked key is told so and not as retired, whether its file's time is over or the file is gone."""
    (tmp_path / "P-256.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "RSA.pem").write_bytes(public_pem(key("RSA")))
    flags = ("--kid", "filename", "--state", tmp_path / "state.json")
    if file is None:
        asyncio.run(_served_once(tmp_path, *map(str, flags)))
        (tmp_path / "P-256.pem").unlink()
    (tmp_path / "jwks.toml").write_text(
        f'revoked = ["{thumbprint(key("P-256"))}"]\n[keys."P-256.pem"]\nremove_at = 2020-01-01T00:00:00Z'
    )
    assert rows(sign(key("P-256"), "ES256", "P-256"), tmp_path, *flags) == (1, [("key-revoked", "/", "P-256.pem")])


@pytest.mark.parametrize("kid", ["main", "alias", "other"])
def test_revoked_by_an_alias(tmp_path: Path, kid: str) -> None:
    """A key that is revoked under one of its kids is revoked under each, though another key goes on."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    (tmp_path / "b.pem").write_bytes(public_pem(key("RSA")))
    (tmp_path / "jwks.toml").write_text(
        'revoked = ["alias"]\n[keys."a.pem"]\nkid = "main"\naliases = ["alias", "other"]\n'
    )
    assert rows(sign(key("P-256"), "ES256", kid), tmp_path) == (1, [("key-revoked", "/", "a.pem")])


async def _served_once(directory: Path, *flags: str) -> None:
    async with serving(directory, *flags):
        pass


async def test_without_a_kid_at_an_empty_set() -> None:
    """A token that names no key, and no key: nothing is said of a kid."""
    text = f"{encoded({'alg': 'ES256'}).partition('.')[0]}.e30.c2ln"
    async with answering(b'{"keys":[]}') as url:
        found = await asyncio.to_thread(verified, text, url)
    assert (found[0], found[1]["code"], found[1]["reason"]) == (1, "kid-unknown", "There are no keys.")


@pytest.mark.parametrize("redirection", ["<&-", "0>/dev/null"])
def test_no_standard_input(keys: Path, redirection: str) -> None:
    """A standard input that is closed, or for writing only, is no traceback."""
    shell = f'exec "$0" verify - "$1" {redirection}'
    done = subprocess.run(
        ["sh", "-c", shell, SCRIPT, keys], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "[config-invalid]" in done.stderr


@pytest.mark.parametrize(
    ("said", "code", "mentions"),
    [
        ('[keys."P-256.pem"]\npublish_at = 2099-01-01T00:00:00Z', "key-pending", "2099-01-01"),
        ('[keys."P-256.pem"]\nremove_at = 2020-01-01T00:00:00Z', "key-retired", "2020-01-01"),
        ('revoked = ["KID"]', "key-revoked", "P-256.pem"),
    ],
)
def test_withheld(keys: Path, said: str, code: str, mentions: str) -> None:
    """A key that the policy holds back is told from one that is unknown, with the time."""
    (keys / "jwks.toml").write_text(said.replace("KID", thumbprint(key("P-256"))))
    found = verified(token(), keys)
    assert (found[0], found[1]["code"]) == (1, code)
    assert mentions in found[1]["reason"]


async def test_retiring_and_retired(tmp_path: Path, keys: Path) -> None:
    """The state file tells of keys whose files are gone: they verify while they retire, and then don't."""
    state = tmp_path / "state.json"
    flags = ("--state", str(state), "--retain", "3600")
    async with serving(keys, *ALLOW, *flags) as server:
        code, found = await asyncio.to_thread(verified, token("RSA"), keys, *flags)
        assert (found["file"], "safe to sign with from" in found["reason"]) == ("RSA.pem", True)
        (keys / "P-256.pem").unlink()
        await server.log("key-retiring", file="P-256.pem")
        server.process.terminate()
        await server.end()
    code, found = verified(token(), keys, *flags)
    assert (code, found["code"], "it retires at" in found["reason"]) == (0, "verified", True)
    code, found = verified(token(), keys, *flags[:2])
    assert (code, found["code"], "P-256.pem is gone" in found["reason"]) == (1, "key-retired", True)


async def test_not_visible_at_the_edge(keys: Path) -> None:
    """A key that the directory publishes and a cache doesn't serve yet is told so, with the cache's age."""
    async with answering(b'{"keys":[]}', Age="100", Cache_Control="max-age=300") as url:
        code, found = await asyncio.to_thread(verified, token(), url, keys)
        assert (code, found["code"]) == (1, "key-not-visible")
        assert "asks again in 200 s" in found["reason"]
        code, found = await asyncio.to_thread(verified, token(), url)
        assert (code, found["code"]) == (1, "kid-unknown")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "token-malformed"),
        ("a.b", "token-malformed"),
        ("a.b.c", "token-malformed"),
        ("é.ü.ß", "token-malformed"),
        ("a.b.c.d.e", "token-malformed"),
        (encoded([]), "token-malformed"),
        (encoded({"kid": "a"}), "token-malformed"),
        (encoded({"alg": "ES256", "kid": 1}), "token-malformed"),
        (encoded({"alg": "none"}), "token-alg-unsupported"),
        (encoded({"alg": "HS256"}), "token-alg-unsupported"),
        (encoded({"alg": "ML-DSA-44"}), "token-alg-unsupported"),
    ],
)
def test_no_answer(keys: Path, text: str, code: str) -> None:
    """What is no signed JWT, or can't be verified here, is one line and exit code 2."""
    done = run("verify", "-", keys, *ALLOW, stdin=text.encode())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"[{code}]" in done.stderr


@pytest.mark.parametrize(
    "jwk", [{}, {"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "RSA", "n": 1, "e": []}]
)
async def test_a_malformed_key_at_the_url(jwk: dict[str, object]) -> None:
    """A key at a URL that is none is no traceback, and no signature that is wrong."""
    async with answering(json.dumps({"keys": [{**jwk, "kid": thumbprint(key("P-256"))}]}).encode()) as url:
        code, found = await asyncio.to_thread(verified, token(), url)
    assert (code, found["code"]) == (1, "token-alg-mismatch")


def test_sources_that_can_not_be_read(tmp_path: Path, keys: Path) -> None:
    """A missing directory, an unreachable URL or no source at all is exit code 2."""
    for source, code in ((tmp_path / "none", "directory-missing"), ("http://127.0.0.1:1/x", "fetch-failed")):
        done = run("verify", token(), source)
        assert (done.returncode, f"[{code}]" in done.stderr) == (2, True)
    assert run("verify", token()).returncode == 2
    (keys / "jwks.toml").write_text("no toml")
    done = run("verify", token(), keys)
    assert (done.returncode, "policy-invalid" in done.stdout) == (1, True)
    assert public_pem(key("P-256")).decode() not in done.stderr
