"""What the issuers of a key directory say of a token: which key verifies it, or what became of the one it names."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jwks_server import offline
from jwks_server.errors import JwksError, KeyFileError, KeyPending, KeyRetired, KeyRevoked, KidUnknown, TokenRefused
from jwks_server.keys.assign import assign
from jwks_server.keys.changes import utc
from jwks_server.keys.keyset import Key, Verdict
from jwks_server.options.settings import Settings
from jwks_server.published.catalog import ROOT
from jwks_server.remote.tokens import Jwk, Token, kid_unknown, verifying_key


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the answer.

    Attributes:
        source: Who was asked: a directory or a URL.
        verified: Whether a key there verifies the token.
        code: ``verified``, or why none does.
        kid: The kid of the key; where there is none, the token's.
        issuer: The issuer that publishes the key; None at a URL, and where no issuer knows it.
        file: The key's file, where it is known.
        reason: The whole story.
    """

    source: str
    verified: bool
    code: str
    kid: str | None
    issuer: str | None = None
    file: str | None = None
    reason: str = ""


def accepted(source: str, jwk: Jwk, **more: Any) -> Found:  # noqa: ANN401 - the row's further members
    """Make the row of a key that verifies."""
    kid = jwk.get("kid")
    return Found(source, verified=True, code="verified", kid=None if kid is None else str(kid), **more)


def refused(source: str, token: Token, error: JwksError, **more: Any) -> Found:  # noqa: ANN401 - as above
    """Make the row of what is wrong."""
    return Found(source, verified=False, code=error.code, kid=token.kid, reason=error.message, **more)


def judge(source: str, token: Token, looks: Mapping[str, offline.Look], settings: Settings) -> Sequence[Found]:
    """Ask each issuer of a directory by itself.

    Returns:
        The rows of those that verify the token; else of those that know its key; else of those that only tell who
        signed it, or can't tell; else one.
    """
    rows = [_of_issuer(source, token, issuer, look, settings) for issuer, look in looks.items()]
    known = [row for row in rows if row.code != KidUnknown.code]
    if known:
        return [row for row in known if row.verified] or known
    nobody = refused(source, token, kid_unknown(token))
    hints = [row for row in rows if row.reason != nobody.reason]
    faults = [refused(source, token, look.fault, issuer=issuer) for issuer, look in looks.items() if look.fault]
    return hints + faults or [nobody]


def _of_issuer(source: str, token: Token, issuer: str, look: offline.Look, settings: Settings) -> Found:
    published = [(json.loads(key.json), key) for key in look.keyset.keys if look.entry]
    try:
        found = verifying_key(token, [jwk for jwk, _ in published])
    except TokenRefused as error:
        fault, file = error, next((key.file for _, key in published if key.kid == token.kid), None)
    else:
        key = next(key for jwk, key in published if jwk is found)
        return accepted(source, found, issuer=issuer, file=key.file, reason=_standing(key, look))
    if isinstance(fault, KidUnknown):
        fault, file = _explain(token.kid, look, settings.directory / issuer.removeprefix(ROOT), settings) or (
            fault,
            None,
        )
    return refused(source, token, fault, issuer=issuer, file=file)


def _explain(
    kid: str | None, look: offline.Look, folder: Path, settings: Settings
) -> tuple[TokenRefused, str | None] | None:
    """Tell what is known of a key that isn't published, and its file."""
    keyset = look.keyset
    for key in keyset.pending:
        if key.kid == kid and key.publish_at is not None:
            when = utc(key.publish_at)
            return KeyPending(f"{key.file} is published at {when}, by jwks.toml; sign after that."), key.file
    for verdict in keyset.verdicts:
        if kid in verdict.kids:
            return _withheld(kid, verdict, look, folder, settings), verdict.file
    for key in look.remembered.keys if look.remembered else ():
        if key.kid == kid:
            return _gone(key, look), key.file
    if kid in keyset.policy.revoked:
        return KeyRevoked("jwks.toml revokes the key; sign with another."), None
    return None


def _withheld(kid: str, verdict: Verdict, look: offline.Look, folder: Path, settings: Settings) -> TokenRefused:
    policy = look.keyset.policy
    removed = offline.removed_at(verdict, policy)
    named: set[str] = set()
    with suppress(KeyFileError):  # it was changed a moment ago
        assigned, _ = assign([offline.key_file(folder / verdict.file, settings.passphrase)], policy)
        named = {name for one in assigned if kid in one.kids for name in (one.public.thumbprint, *one.kids)}
    if removed is None or not policy.revoked.isdisjoint(named):
        return KeyRevoked(f"jwks.toml revokes the key of {verdict.file}; sign with another.")
    return KeyRetired(f"{verdict.file} retired at {utc(removed)}, by jwks.toml; sign with another.")


def _gone(key: Key, look: offline.Look) -> TokenRefused:
    """Tell why a key without a file isn't published; one is revoked under all its kids when it is under one."""
    remembered = look.remembered.keys if look.remembered else ()
    kids = {one.kid for one in remembered if one.public.thumbprint == key.public.thumbprint}
    if not look.keyset.policy.revoked.isdisjoint({key.public.thumbprint, *kids}):
        return KeyRevoked(f"jwks.toml revokes the key of {key.file}, which is gone; sign with another.")
    if key.retiring_since is None:
        return KeyRetired(f"The file {key.file} is gone, and --retain keeps no key; sign with another.")
    retired = utc(key.retiring_since + look.keyset.policy.retain)
    return KeyRetired(f"{key.file} is gone, and retired at {retired}; sign with another.")


def _standing(key: Key, look: offline.Look) -> str:
    """Say what is special about the key that verifies; when it was published is known from the state file only."""
    if key.state == "retiring" and key.retires_at is not None:
        return f"its file is gone, and it retires at {utc(key.retires_at)}"
    remembered = {one.identity for one in look.remembered.keys} if look.remembered else set()
    if key.identity in remembered and key.safe_to_sign_at is not None:
        return f"safe to sign with from {utc(key.safe_to_sign_at)}"
    return ""
