"""verify TOKEN SOURCE...: which published key verifies a token, or exactly why none does."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from jwks_server import offline
from jwks_server.commands import output
from jwks_server.config import Settings
from jwks_server.errors import KeyNotVisible, KeyPending, KeyRetired, KeyRevoked, KidUnknown, TokenRefused
from jwks_server.keys.changes import utc
from jwks_server.keys.keyset import Key, KeySet, Verdict
from jwks_server.options import json_option, key_options
from jwks_server.remote import client
from jwks_server.remote.tokens import Jwk, Token, parse, verifying_key

_STDIN = "-"
_MAX_TOKEN_BYTES = 64 * 1024
_EPILOG = """A SOURCE is a key directory, or the URL of a JWK Set. Given both, a key that the directory publishes and
the URL doesn't serve yet is told from one that is unknown. Only the signature is looked at, no claim. TOKEN - reads
the token from standard input, which keeps it out of the list of processes.

Exit code 0: each source has the key that verifies. 1: one has not, or publishes nothing. 2: there is no answer: the
token is malformed, a source can't be read, or the command is called wrongly."""


@click.command(name="verify", epilog=_EPILOG)
@click.argument("token", metavar="TOKEN")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@key_options
@json_option
def command(*, token: str, sources: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Find the published key that verifies TOKEN."""
    parsed = parse(sys.stdin.buffer.read(_MAX_TOKEN_BYTES).decode("ascii", "replace") if token == _STDIN else token)
    found = [_asked(source, parsed, settings) for source in sources]
    if any(one["verified"] for one in found):
        found = [_visible(one) for one in found]
    if as_json:
        output.document({"alg": parsed.alg, "kid": parsed.kid, "sources": found})
    else:
        output.table(
            ("SOURCE", "RESULT", "KID", ""),
            [(one["source"], one["code"], one["kid"] or "", one["reason"]) for one in found],
        )
    sys.exit(0 if all(one["verified"] for one in found) else 1)


def _asked(source: str, token: Token, settings: Settings) -> dict[str, Any]:
    """Ask one source; the result is a row of the answer."""
    try:
        key, reason = _at_url(token, source) if "://" in source else _in_directory(token, Path(source), settings)
    except TokenRefused as error:
        return {"source": source, "verified": False, "kid": token.kid, "code": error.code, "reason": error.message}
    return {"source": source, "verified": True, "kid": key.get("kid"), "code": "verified", "reason": reason}


def _visible(found: dict[str, Any]) -> dict[str, Any]:
    """Where another source verifies the token, an unknown kid at a URL is one that isn't visible there yet."""
    if found["code"] != KidUnknown.code or "://" not in found["source"]:
        return found
    reason = found["reason"].replace("No key has the kid", "The key is published, but not served here yet:", 1)
    return {**found, "code": KeyNotVisible.code, "reason": reason}


def _at_url(token: Token, url: str) -> tuple[Jwk, str]:
    answer = client.get(url)
    try:
        return verifying_key(token, answer.keys()), ""
    except KidUnknown as error:
        if not answer.age:
            raise
        left = max(0, answer.max_age - answer.age)
        raise KidUnknown(
            f"{error.message} The answer is {answer.age} s old; the cache asks again in {left} s."
        ) from None


def _in_directory(token: Token, directory: Path, settings: Settings) -> tuple[Jwk, str]:
    looks = offline.look(replace(settings, directory=directory))
    published = [(json.loads(key.json), key) for look in looks.values() for key in look.keyset.keys if look.entry]
    try:
        found = verifying_key(token, [jwk for jwk, _ in published])
    except KidUnknown:
        for look in looks.values():
            if look.fault:
                raise look.fault from None
            _explain(token.kid, look)
        raise
    return found, _standing(next(key for jwk, key in published if jwk is found), looks)


def _explain(kid: str | None, look: offline.Look) -> None:
    """Raise what is known of a key that isn't published."""
    keyset = look.keyset
    for key in keyset.pending:
        if key.kid == kid and key.publish_at is not None:
            raise KeyPending(f"{key.file} is published at {utc(key.publish_at)}, by jwks.toml; sign after that.")
    for verdict in keyset.verdicts:
        if kid in verdict.kids:
            raise _withheld(verdict, keyset)
    if kid in keyset.policy.revoked:
        raise KeyRevoked("jwks.toml revokes the key; sign with another.")
    for key in look.remembered.keys if look.remembered else ():
        if key.kid == kid:
            raise _retired(key, keyset)


def _withheld(verdict: Verdict, keyset: KeySet) -> TokenRefused:
    removed = offline.removed_at(verdict, keyset.policy)
    if removed is None:
        return KeyRevoked(f"jwks.toml revokes the key of {verdict.file}; sign with another.")
    return KeyRetired(f"{verdict.file} retired at {utc(removed)}, by jwks.toml; sign with another.")


def _retired(key: Key, keyset: KeySet) -> TokenRefused:
    if key.retiring_since is None:
        return KeyRetired(f"The file {key.file} is gone, and --retain keeps no key; sign with another.")
    retired = utc(key.retiring_since + keyset.policy.retain)
    return KeyRetired(f"{key.file} is gone, and retired at {retired}; sign with another.")


def _standing(key: Key, looks: Mapping[str, offline.Look]) -> str:
    """Say what is special about the key that verifies; when it was published is known from the state file only."""
    if key.state == "retiring" and key.retires_at is not None:
        return f"{key.file} is gone, and retires at {utc(key.retires_at)}"
    remembered = {one.identity for look in looks.values() if look.remembered for one in look.remembered.keys}
    if key.identity in remembered and key.safe_to_sign_at is not None:
        return f"{key.file}, safe to sign with from {utc(key.safe_to_sign_at)}"
    return key.file
