"""A JWT signed with the private key verifies through real clients that fetch the set from the running server."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import authlib.deprecate  # noqa: F401 - puts its own warning filter first, before the test's
import jwt
import pytest
import pytest_asyncio
from joserfc.jwk import KeySet
from joserfc.jwt import decode
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT
from support import PUBLISHABLE_KINDS, Running, key, private_jwk, private_pem, public_jwk, serving, sign

pytestmark = pytest.mark.asyncio(loop_scope="module")

# These clients have no ML-DSA, so they are asked about all other kinds.
CLASSICAL = tuple(kind for kind in PUBLISHABLE_KINDS if not kind.startswith("ML-DSA"))
POST_QUANTUM = tuple(kind for kind in PUBLISHABLE_KINDS if kind.startswith("ML-DSA"))
Verify = Callable[[str, str, str], dict[str, Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def classical(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Serve a private key of every kind but ML-DSA."""
    async with serving_kinds(tmp_path_factory, CLASSICAL) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post_quantum(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Serve a private key of each ML-DSA parameter set."""
    async with serving_kinds(tmp_path_factory, POST_QUANTUM) as running:
        yield running


def serving_kinds(tmp_path_factory: pytest.TempPathFactory, kinds: tuple[str, ...]) -> Any:
    """Serve a private key of each kind."""
    directory = tmp_path_factory.mktemp("keys")
    for kind in kinds:
        (directory / f"{kind}.pem").write_bytes(private_pem(key(kind)))
    return serving(directory, "--allow", "Ed448", "--allow", "secp256k1", *(f"--allow={kind}" for kind in POST_QUANTUM))


def fetch(url: str) -> Any:
    """Fetch the set as a client does that has no fetching of its own."""
    with urllib.request.urlopen(url) as reply:  # noqa: S310 - the test's own server
        return json.load(reply)


def pyjwt(url: str, token: str, alg: str) -> dict[str, Any]:
    """Verify with PyJWT, which fetches by itself."""
    found = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(token, found.key, algorithms=[alg])
    return claims


def joserfc(url: str, token: str, alg: str) -> dict[str, Any]:
    """Verify with joserfc."""
    return dict(decode(token, KeySet.import_key_set(fetch(url)), algorithms=[alg]).claims)


def authlib_jose(url: str, token: str, alg: str) -> dict[str, Any]:
    """Verify with Authlib."""
    from authlib.jose import JsonWebKey, JsonWebToken

    return dict(JsonWebToken([alg]).decode(token, JsonWebKey.import_key_set(fetch(url))))


def jwcrypto(url: str, token: str, alg: str) -> dict[str, Any]:
    """Verify with jwcrypto."""
    keys = JWKSet.from_json(json.dumps(fetch(url)))
    found = keys.get_key(jwt.get_unverified_header(token)["kid"])
    claims: dict[str, Any] = json.loads(JWT(jwt=token, key=found, algs=[alg]).claims)
    return claims


@pytest.mark.filterwarnings("ignore:authlib.jose module is deprecated", "ignore:EdDSA is deprecated")
@pytest.mark.parametrize("kind", CLASSICAL)
@pytest.mark.parametrize("client", [pyjwt, joserfc, authlib_jose, jwcrypto])
async def test_every_kind(classical: Running, kind: str, client: Verify) -> None:
    """Each client finds the key by its kid and verifies; a token signed by another key it refuses."""
    await verify(classical, kind, client)


@pytest.mark.parametrize("kind", POST_QUANTUM)
async def test_ml_dsa(post_quantum: Running, kind: str) -> None:
    """The client that knows ML-DSA verifies with each parameter set."""
    await verify(post_quantum, kind, jwcrypto)


@pytest.mark.filterwarnings("ignore:authlib.jose module is deprecated")
@pytest.mark.parametrize("client", [pyjwt, joserfc, authlib_jose, jwcrypto])
async def test_a_set_from_jwk_files(tmp_path: Path, client: Verify) -> None:
    """Keys of a JWK Set and of a SPIFFE bundle verify under the kids that their files say."""
    kids = {"RSA": "of the set", "P-256": "of the bundle"}
    jwk_set = {"keys": [private_jwk(key("RSA"), kid=kids["RSA"], alg="RS256")]}
    bundle = {"keys": [public_jwk(key("P-256"), kid=kids["P-256"], use="jwt-svid")], "spiffe_sequence": 1}
    for name, document in (("a.jwks", jwk_set), ("bundle.json", bundle)):
        (tmp_path / name).write_text(json.dumps(document))
    async with serving(tmp_path) as server:
        for kind, alg in (("RSA", "RS256"), ("P-256", "ES256")):
            token = sign(key(kind), alg, kids[kind])
            assert await asyncio.to_thread(client, server.url, token, alg) == {"sub": "somebody"}


async def verify(server: Running, kind: str, client: Verify) -> None:
    """Verify a good token, then one with the same header and another key's signature."""
    published = {log["file"]: log for log in server.logs if log["event"] == "key-published"}[f"{kind}.pem"]
    kid, alg = published["kid"], published["alg"]
    token = sign(key(kind), alg, kid)
    assert await asyncio.to_thread(client, server.url, token, alg) == {"sub": "somebody"}
    forged = sign(key(kind, 1), alg, kid)
    with pytest.raises(Exception, match=r"(?i)signature|verif"):
        await asyncio.to_thread(client, server.url, forged, alg)


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_rsa_algs(tmp_path_factory: pytest.TempPathFactory, alg: str) -> None:
    """Each --rsa-alg is what the published key says and what a client verifies with."""
    directory = tmp_path_factory.mktemp("keys")
    (directory / "RSA.pem").write_bytes(private_pem(key("RSA")))
    async with serving(directory, "--rsa-alg", alg) as server:
        await verify(server, "RSA", pyjwt)
