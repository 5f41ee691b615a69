"""One JWKS client from PyPI: reads tokens from standard input, answers what it makes of each, a line of JSON for one.

``python -m clients.in_python NAME URL``
"""

import asyncio
import atexit
import importlib.metadata
import json
import sys
import urllib.request
import warnings
from collections.abc import Callable
from typing import Any

# A token and its alg in; its claims out, or an exception.
Verify = Callable[[str, str], Any]

AUDIENCE = "api"


def fetch(url: str) -> Any:
    """Fetch the set for clients that have no fetching of their own."""
    with urllib.request.urlopen(url) as reply:  # noqa: S310 - the server under test
        return json.load(reply)


def pyjwt(url: str) -> Verify:
    """PyJWT fetches, keeps the set, and asks again for a kid that it doesn't know, after a pause that is left out."""
    import jwt

    client = jwt.PyJWKClient(url, cooldown_duration=0)
    return lambda token, alg: jwt.decode(
        token, client.get_signing_key_from_jwt(token).key, algorithms=[alg], audience=AUDIENCE
    )


def joserfc(url: str) -> Verify:
    """Joserfc."""
    from joserfc import jwt
    from joserfc.jwk import KeySet

    return lambda token, alg: jwt.decode(token, KeySet.import_key_set(fetch(url)), algorithms=[alg]).claims


def authlib(url: str) -> Verify:
    """Authlib."""
    import authlib.deprecate  # puts a warning filter of its own first

    warnings.simplefilter("ignore", authlib.deprecate.AuthlibDeprecationWarning)
    from authlib.jose import JsonWebKey, JsonWebToken

    return lambda token, alg: JsonWebToken([alg]).decode(token, JsonWebKey.import_key_set(fetch(url)))


def jwcrypto(url: str) -> Verify:
    """Jwcrypto."""
    from jwcrypto.jwk import JWKSet
    from jwcrypto.jwt import JWT

    def verify(token: str, alg: str) -> Any:
        keys = JWKSet.from_json(json.dumps(fetch(url)))
        return json.loads(JWT(jwt=token, key=keys, algs=[alg]).claims)

    return verify


def python_jose(url: str) -> Verify:
    """python-jose; its user chooses the key."""
    from jose import jwt

    def verify(token: str, alg: str) -> Any:
        kid = jwt.get_unverified_header(token)["kid"]
        key = next(one for one in fetch(url)["keys"] if one["kid"] == kid)
        return jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE)

    return verify


def jwskate(url: str) -> Verify:
    """Jwskate."""
    from jwskate import JwkSet, SignedJwt

    def verify(token: str, alg: str) -> Any:
        parsed = SignedJwt(token)
        key = JwkSet(fetch(url)).get_jwk_by_kid(parsed.headers["kid"])
        if not parsed.verify_signature(key, algs=[alg]):
            raise ValueError("the signature is wrong")
        return parsed.claims

    return verify


def pyjwt_key_fetcher(url: str) -> Verify:
    """pyjwt-key-fetcher fetches with aiohttp, and asks again after five minutes, which are taken from its cache."""
    import jwt
    from pyjwt_key_fetcher.errors import JWTKeyNotFoundError
    from pyjwt_key_fetcher.fetcher import AsyncKeyFetcher
    from pyjwt_key_fetcher.http_client import DefaultHTTPClient
    from pyjwt_key_fetcher.provider import Provider

    issuer = url.partition("/.well-known/")[0]
    runner = asyncio.Runner()

    async def start() -> tuple[DefaultHTTPClient, AsyncKeyFetcher]:
        http = DefaultHTTPClient()
        return http, AsyncKeyFetcher(http_client=http, static_issuer_config={issuer: {"jwks_uri": url}})

    async def find(token: str) -> Any:
        try:
            return await fetcher.get_key(token)
        except JWTKeyNotFoundError:
            await Provider._fetch_jwk_map.cache.clear()  # noqa: SLF001 - instead of waiting
            return await fetcher.get_key(token)

    http, fetcher = runner.run(start())
    atexit.register(lambda: runner.run(http.session.close()))
    return lambda token, alg: jwt.decode(token, runner.run(find(token))["key"], algorithms=[alg], audience=AUDIENCE)


def cryptojwt(url: str) -> Verify:
    """Cryptojwt keeps a jar of keys for each issuer; a kid that it doesn't know makes its user refresh it."""
    from cryptojwt.jwt import JWT
    from cryptojwt.key_jar import KeyJar

    jar = KeyJar(httpc_params={"timeout": 5})
    issuer = url.partition("/.well-known/")[0]
    jar.add_url(issuer, url)

    def verify(token: str, alg: str) -> Any:
        for bundle in jar[issuer]:
            bundle.update()
        return JWT(key_jar=jar, iss=AUDIENCE, allowed_sign_algs=[alg]).unpack(token)

    return verify


def google_auth(url: str) -> Verify:
    """google-auth fetches the set for each token."""
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    return lambda token, _alg: id_token.verify_token(token, Request(), audience=AUDIENCE, certs_url=url)


CLIENTS: dict[str, Callable[[str], Verify]] = {
    "PyJWT": pyjwt,
    "joserfc": joserfc,
    "Authlib": authlib,
    "jwcrypto": jwcrypto,
    "python-jose": python_jose,
    "jwskate": jwskate,
    "pyjwt-key-fetcher": pyjwt_key_fetcher,
    "cryptojwt": cryptojwt,
    "google-auth": google_auth,
}


def main(name: str, url: str) -> None:
    """Answer until standard input ends."""
    warnings.simplefilter("ignore")  # a client may find EdDSA or itself outdated
    verify = CLIENTS[name](url)
    answer({"version": importlib.metadata.version(name)})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer({"sub": verify(asked["token"], asked["alg"])["sub"]})
        except Exception as exc:  # noqa: BLE001 - each client has errors of its own
            answer({"error": f"{type(exc).__name__}: {exc}"})


def answer(document: object) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
