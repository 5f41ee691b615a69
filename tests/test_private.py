"""No private byte ever comes out, whatever goes in."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from support import (
    HANG_SECONDS,
    PASSPHRASE,
    PUBLISHABLE_KINDS,
    build,
    certificate_pem,
    certify,
    key,
    private_jwk,
    private_pem,
    raw,
    run,
    serving,
)

from jwks_server.errors import KeyFileError
from jwks_server.keys.keyset import read_file
from jwks_server.keys.kinds import KINDS
from jwks_server.keys.policy import Policy
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import render

PRIVATE_MEMBERS = [b'"%b":' % name for name in (b"d", b"p", b"q", b"dp", b"dq", b"qi", b"oth", b"k", b"priv")]
EVERY_KIND = Policy(allow=frozenset(name for name, kind in KINDS.items() if kind.optional))
RUN = 9


def secrets(private: Any) -> Iterator[bytes]:
    """List the numbers that make a key private, as bytes."""
    match private:
        case rsa.RSAPrivateKey():
            numbers = private.private_numbers()
            for number in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp):
                yield number.to_bytes((number.bit_length() + 7) // 8, "big")
        case ec.EllipticCurvePrivateKey():
            yield private.private_numbers().private_value.to_bytes((private.key_size + 7) // 8, "big")
        case _:
            yield private.private_bytes_raw()


def leaks(output: bytes, private: Any) -> bool:
    """Look for a run of nine private bytes: raw, in hex, or in base64 at any offset."""
    text = output.replace(b"-", b"+").replace(b"_", b"/").replace(b"\n", b"").replace(b"\\n", b"")
    hexadecimal = output.lower()
    for secret in secrets(private):
        for at in range(len(secret) - RUN):
            run = secret[at : at + RUN]
            if run in output or run.hex().encode() in hexadecimal or base64.b64encode(run) in text:
                return True
    return any(member in output for member in PRIVATE_MEMBERS)


def jwk_text(private: Any) -> bytes:
    """Write a private key as JSON."""
    return json.dumps(private_jwk(private)).encode()


@pytest.mark.parametrize("kind", PUBLISHABLE_KINDS)
def test_the_search_finds_what_it_looks_for(kind: str) -> None:
    """The search itself can fail: it finds a private key that is there."""
    private = key(kind)
    assert leaks(private_pem(private), private)
    assert leaks(jwk_text(private).replace(b'"', b"'"), private)
    for secret in secrets(private):
        for offset in range(3):
            assert leaks(b"{" + base64.urlsafe_b64encode(b"x" * offset + secret) + b"}", private)
        assert leaks(secret.hex().upper().encode(), private)
    assert leaks(b'{"kty":"RSA","d":"x"}', private)


@given(st.sampled_from(PUBLISHABLE_KINDS), st.sampled_from(["PEM", "encrypted PEM", "JWK"]), st.data())
def test_nothing_made_from_a_private_key_holds_it(kind: str, form: str, data: st.DataObject) -> None:
    """Whole or damaged, a private key's file gives replies, verdicts, reprs and errors without a run of it."""
    private = key(kind)
    written = bytearray(jwk_text(private) if form == "JWK" else private_pem(private, encrypted=form != "PEM"))
    if data.draw(st.booleans()):
        written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    file = read_file("a.pem", bytes(written), data.draw(st.sampled_from([None, PASSPHRASE, b"wrong"])))
    keyset = build([file], EVERY_KIND)
    output = [repr(file), repr(keyset), str(file.error), repr(file.error)]
    error: BaseException | None = file.error
    while error is not None:
        output.append(repr(error))
        error = error.__cause__
    bodies = [
        variant.body
        for variant in render(keyset.body, Freshness(300), "application/json").variants
        if variant.coding == "identity"
    ]
    assert not leaks("\n".join(output).encode() + b"".join(bodies), private)


async def test_nothing_the_server_sends_or_logs_holds_a_private_key(tmp_path: Path) -> None:
    """Every kind, in clear, encrypted, broken, and beside its certificate; every reply, and every log line."""
    keys = {kind: key(kind) for kind in (*PUBLISHABLE_KINDS, "X25519", "RSA-1024")}
    for kind, private in keys.items():
        (tmp_path / f"{kind}.pem").write_bytes(private_pem(private))
        (tmp_path / f"{kind}-cut.pem").write_bytes(private_pem(private)[:-40])
        (tmp_path / f"{kind}-doubled.pem").write_bytes(private_pem(private).replace(b"\n", b"", 1))
        (tmp_path / f"{kind}-encrypted.pem").write_bytes(private_pem(private, encrypted=True))
    jwks = {kind: key(kind, 1) for kind in keys}
    for kind, private in jwks.items():
        (tmp_path / f"{kind}.jwk").write_bytes(jwk_text(private))
        (tmp_path / f"{kind}-cut.json").write_bytes(jwk_text(private)[:-9])
        (tmp_path / f"{kind}-marked.jwks").write_bytes(jwk_text(private).replace(b"{", b"\xff{"))
    (tmp_path / "certified.pem").write_bytes(private_pem(keys["P-256"]) + certificate_pem(certify(keys["P-256"])))
    (tmp_path / "mismatch.pem").write_bytes(private_pem(keys["P-256"]) + certificate_pem(certify(keys["P-384"])))
    allow = [word for kind in EVERY_KIND.allow for word in ("--allow", kind)]
    async with serving(tmp_path, "--log-level", "debug", "--access-log", *allow) as server:
        output = b""
        for line in (
            b"GET /.well-known/jwks.json",
            b"HEAD /.well-known/jwks.json",
            b"GET /a.pem",
            b"GET /../a.pem",
            b"PUT /",
        ):
            output += await raw(server.port, line + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        output += await raw(server.port, private_pem(keys["RSA"]))
        output += await raw(server.port, jwk_text(jwks["RSA"]))
        for path in (b"/livez", b"/readyz", b"/metrics", b"/status", b"/", b"/a.pem"):
            output += await raw(server.admin, b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
        output += await raw(server.admin, private_pem(keys["RSA"]))
        server.process.terminate()
        await server.end()
        output += server.stderr
    assert output.count(b'"use":"sig"') == 2 * len(PUBLISHABLE_KINDS)
    assert output.count(b"file-refused") >= len(keys)
    assert b"</html>" in output
    assert b'"verdict": "refused"' in output
    assert output.count(b"[jwk-malformed]" if b"[jwk-malformed]" in output else b'"jwk-malformed"') >= 2 * len(keys)
    for private in (*keys.values(), *jwks.values()):
        assert not leaks(output, private)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["--version"], ["serve", "KEY"], ["serve", "--kid", "KEY", "x"]]
)
async def test_nothing_the_command_line_prints_holds_a_private_key(arguments: list[str], tmp_path: Path) -> None:
    """A key given where none belongs is not printed either."""
    path = tmp_path / "a.pem"
    path.write_bytes(private_pem(key("P-256")))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "jwks_server", *(str(path) if one == "KEY" else one for one in arguments)),
        *(("--bind", "127.0.0.1:bad") if arguments[-1] == "KEY" else ()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )
    async with asyncio.timeout(HANG_SECONDS):
        output, _ = await process.communicate()
    assert output
    assert not leaks(output, key("P-256"))


def test_every_error_class_can_be_told_without_the_file() -> None:
    """An error of a file holds its message and nothing else."""
    error = read_file("a.pem", private_pem(key("P-256"), encrypted=True), b"wrong").error
    assert isinstance(error, KeyFileError)
    assert error.args == (error.message,)
    assert not hasattr(error, "__dict__") or error.__dict__.keys() <= {"message"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "DIR"],
        ["check", "DIR", "--json"],
        ["kid", "KEY"],
        ["inspect", "KEY"],
        ["inspect", "KEY", "--json"],
        ["render", "DIR", "--out", "OUT", "--json"],
        ["diff", "DIR", "http://127.0.0.1:1/"],
        ["diff", "DIR", "KEY"],
        ["verify", "TEXT", "DIR"],
        ["wait", "TEXT", "KEY"],
        ["check", "--", "TEXT"],
        *(["check", "DIR", flag, "TEXT"] for flag in ("--path", "--media-type", "--pattern", "--state", "--max-age")),
        ["kid", "--", "TEXT"],
        ["inspect", "--", "TEXT"],
        ["render", "DIR", "--out", "TEXT"],
        ["diff", "DIR", "--", "TEXT"],
        ["diff", "--", "TEXT", "http://127.0.0.1:1/"],
        ["verify", "--", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "TEXT"],
        ["wait", "--", "kid", "TEXT"],
        ["wait", "--gone", "--timeout", "0.1", "--", "TEXT", "http://127.0.0.1:1/"],
        ["healthcheck", "--url", "TEXT"],
        ["completion", "--", "TEXT"],
        ["serve", "--", "TEXT"],
        *(["serve", "DIR", flag, "TEXT"] for flag in ("--bind", "--admin-bind", "--tls-cert", "--unix-mode")),
    ],
)
def test_nothing_a_command_prints_or_writes_holds_a_private_key(arguments: list[str], tmp_path: Path) -> None:
    """Whole, cut or encrypted, by file, in a directory, or pasted where a token belongs."""
    directory = tmp_path / "keys"
    directory.mkdir()
    private = {kind: key(kind) for kind in (*PUBLISHABLE_KINDS, "X25519", "RSA-1024")}
    for kind, one in private.items():
        (directory / f"{kind}.pem").write_bytes(private_pem(one))
        (directory / f"{kind}-cut.pem").write_bytes(private_pem(one)[:-40])
        (directory / f"{kind}-encrypted.pem").write_bytes(private_pem(one, encrypted=True))
    (directory / "P-256.jwk").write_bytes(jwk_text(private["P-256"]))
    (directory / "RSA-cut.json").write_bytes(jwk_text(private["RSA"])[:-9])
    files = sorted(directory.iterdir()) if "KEY" in arguments or "TEXT" in arguments else [directory]
    if {"diff", "verify", "wait"} & set(arguments):
        files = [directory / "P-256.pem", directory / "RSA.pem"]
    output = b""
    for path in files:
        stands = {"DIR": directory, "KEY": path, "OUT": tmp_path / "out"}
        text = path.read_text() if "TEXT" in arguments else ""
        done = run(*(text if one == "TEXT" else str(stands.get(one, one)) for one in arguments))
        output += (done.stdout + done.stderr).encode()
    output += b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert output
    for one in private.values():
        assert not leaks(output, one)


@pytest.mark.parametrize("command", ["serve", "check", "healthcheck"])
@pytest.mark.parametrize("variable", ["DIR", "PATTERN", "BIND", "ADMIN_BIND", "URL", "PASSPHRASE_FILE"])
def test_a_key_in_a_variable_is_not_printed(command: str, variable: str) -> None:
    """What stands in a variable of the program is repeated no more than what stands on its command line."""
    private = key("P-256")
    done = run(command, stdin=b"", **{f"JWKS_SERVER_{variable}": private_pem(private).decode()})
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
    assert not leaks((done.stdout + done.stderr).encode(), private)


@pytest.mark.parametrize("kind", ["P-256", "RSA", "ML-DSA-44"])
def test_a_jwk_on_the_command_line(kind: str, tmp_path: Path) -> None:
    """It is refused as PEM is, whole, cut or without its type, and what is printed holds nothing of it."""
    private = key(kind)
    text = jwk_text(private).decode()
    for part in (text, text[: len(text) // 2], text[text.index(",") :]):
        done = run("check", "--", part, tmp_path)
        assert (done.returncode, "holds a key" in done.stderr) == (2, True)
        assert not leaks((done.stdout + done.stderr).encode(), private)


def test_a_key_that_the_shell_took_apart(tmp_path: Path) -> None:
    """Without quotes a key is several words; none of them is printed."""
    private = key("P-256")
    done = run("check", "--", *private_pem(private).decode().split(), str(tmp_path))
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
    assert not leaks((done.stdout + done.stderr).encode(), private)


def test_a_file_without_a_key_is_told_so(tmp_path: Path) -> None:
    """What a PEM file looks like may be said."""
    (tmp_path / "a.pem").write_bytes(b"nothing")
    assert "-----BEGIN ...-----" in run("kid", tmp_path / "a.pem").stderr


@pytest.mark.parametrize("command", [["healthcheck", "--url"], ["wait", "kid"]])
def test_a_password_in_a_url_is_not_printed(command: list[str]) -> None:
    """A URL with a user is refused, and only what stands after it is repeated."""
    done = run(*command, "http://user:secret@127.0.0.1:1/readyz")
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
    assert "secret" not in done.stdout + done.stderr
