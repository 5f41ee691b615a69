"""Real JWKS clients against a running server: ``make clients``.

Each client, in a process of its own, fetches the set and verifies a token of every default kind of key, refuses a
forged one, and after a rotation verifies a token of the new key: of keys from PEM files, and then from JWK Sets with
kids of their own. Exits with 1 where one doesn't do what is known of it.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.in_python import AUDIENCE, CLIENTS
from support import DEFAULT_KINDS, HANG_SECONDS, Running, key, private_jwk, private_pem, serving, sign

JS = Path(__file__).parent / "js"
ALGS = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}
IN_NODE = (
    *("jose", "jwks-rsa", "get-jwks", "aws-jwt-verify"),
    *("express-oauth2-jwt-bearer", "oauth4webapi", "openid-client"),
)
# What a client itself doesn't know, whatever the server does.
UNKNOWN = {"python-jose": {"Ed25519"}, "jwks-rsa": {"Ed25519"}, "get-jwks": {"Ed25519"}}
# How long a client waits between two questions for a new kid, in seconds. The run doesn't wait: a client lets it be
# set to nothing, or its last question is set back.
PAUSES = {
    "PyJWT": 30,
    "pyjwt-key-fetcher": 300,
    "jose": 30,
    "express-oauth2-jwt-bearer": 30,
    "oauth4webapi": 60,
    "openid-client": 60,
}


# Puts the keys with a number into a directory, and gives their kids.
Publish = Callable[[Running, Path, int], Awaitable[dict[str, str]]]


@dataclass
class Client:
    """A client's process, and what it made of the tokens: by kind, what it did wrong."""

    name: str
    process: asyncio.subprocess.Process
    version: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)

    async def ask(self, question: Mapping[str, str]) -> dict[str, Any]:
        """Give it a token."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Read its next line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(HANG_SECONDS):
            line = await self.process.stdout.readline()
        found: dict[str, Any] = json.loads(line or b'{"error": "the client ended"}')
        return found


def token(kind: str, number: int, kid: str, issuer: str) -> str:
    """Sign an access token (RFC 9068), which is one that every client takes."""
    now = int(time.time())
    claims = {"iss": issuer, "aud": AUDIENCE, "sub": "somebody", "client_id": AUDIENCE, "jti": "1"}
    return sign(key(kind, number), ALGS[kind], kid, {**claims, "iat": now, "exp": now + 600}, typ="at+jwt")


async def judge(client: Client, server: Running, kids: Mapping[str, str], number: int) -> None:
    """Have a client verify a good and a forged token of each kind."""
    issuer = server.url.partition("/.well-known/")[0]
    for kind in DEFAULT_KINDS:
        faults = client.faults.setdefault(kind, [])
        good = await client.ask({"token": token(kind, number, kids[kind], issuer), "alg": ALGS[kind]})
        forged = await client.ask({"token": token(kind, 9, kids[kind], issuer), "alg": ALGS[kind]})
        if good.get("sub") != "somebody":
            faults.append(good.get("error", "no claims"))
        if "error" not in forged:
            faults.append("a forged token was taken")


async def publish(server: Running, directory: Path, number: int) -> dict[str, str]:
    """Put a PEM file of each kind into the directory; give the keys' kids."""
    kids = {}
    for kind in DEFAULT_KINDS:
        name = f"{kind}-{number}.pem"
        draft = directory / f".{name}"
        draft.write_bytes(private_pem(key(kind, number)))
        draft.rename(directory / name)
        kids[kind] = (await server.log("key-published", file=name))["kid"]
    return kids


async def publish_jwks(server: Running, directory: Path, number: int) -> dict[str, str]:
    """Put a JWK Set with a key of each kind into the directory; give the kids that it says."""
    kids = {kind: f"{kind} no. {number}" for kind in DEFAULT_KINDS}
    keys = [private_jwk(key(kind, number), kid=kid, alg=ALGS[kind], use="sig") for kind, kid in kids.items()]
    draft = directory / ".draft"
    draft.write_text(json.dumps({"keys": keys}))
    draft.rename(directory / f"{number}.jwks")
    for kid in kids.values():
        await server.log("key-published", file=f"{number}.jwks", kid=kid)
    return kids


async def start(name: str, url: str) -> Client:
    """Start a client's process."""
    command: Sequence[str] = (sys.executable, "-m", "clients.in_python", name, url)
    if name in IN_NODE:
        command = ("node", str(JS / "in_node.mjs"), name, url)
    pipe = asyncio.subprocess.PIPE
    client = Client(name, await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
    client.version = (await client.answer()).get("version", "")
    return client


async def run(names: Sequence[str], publish: Publish) -> list[Client]:
    """Run all clients, one after the other, before and after a rotation."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        async with serving(directory, "--allow-empty") as server:
            kids = await publish(server, directory, 0)
            clients = [await start(name, server.url) for name in names]
            for client in clients:
                await judge(client, server, kids, 0)
            kids = await publish(server, directory, 1)
            for client in clients:
                await judge(client, server, kids, 1)
        for client in clients:
            assert client.process.stdin is not None
            client.process.stdin.close()
            await client.process.wait()
    return clients


def cell(client: Client, kind: str) -> str:
    """Say what a client made of a kind."""
    if kind in UNKNOWN.get(client.name, ()):
        return "-" if client.faults[kind] else "KNOWN NOW"
    return "FAILED" if client.faults[kind] else "yes"


def main() -> int:
    """Print the matrix."""
    node = IN_NODE if shutil.which("node") and (JS / "node_modules").is_dir() else ()
    clients = asyncio.run(run([*CLIENTS, *node], publish))
    for client, of_jwks in zip(clients, asyncio.run(run([*CLIENTS, *node], publish_jwks)), strict=True):
        for kind, faults in of_jwks.faults.items():
            client.faults[kind] += [f"{fault} (JWK Set)" for fault in faults]
    rows = [
        [
            f"{client.name} {client.version}",
            *(cell(client, kind) for kind in DEFAULT_KINDS),
            f"{PAUSES[client.name]} s" if client.name in PAUSES else "",
        ]
        for client in clients
    ]
    head = ["client", *DEFAULT_KINDS, "its pause"]
    rows = [head, ["---" for _ in head], *rows]
    for row in rows:
        print("|", " | ".join(row), "|")
    wrong = [(client, kind) for client in clients for kind in DEFAULT_KINDS if cell(client, kind).isupper()]
    for client, kind in wrong:
        print(f"{client.name}, {kind}: {'; '.join(client.faults[kind])}", file=sys.stderr)
    if not node:
        print("The clients from npm were left out: they need node and npm (Debian's nodejs and npm).", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
