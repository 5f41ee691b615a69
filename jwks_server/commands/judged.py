"""What the issuers of a key directory say about a token: which key verifies it, or what became of the key it names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jwks_server.errors import JwksError, KeyPending, KeyRetired, KeyRevoked, KidUnknown, TokenRefused
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.instants import utc
from jwks_server.keys.keyset import Key
from jwks_server.keys.verdict import Verdict
from jwks_server.remote.tokens import Jwk, Token, kid_unknown, verifying_key
from jwks_server.source.issuers import Evaluated


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the answer.

    Attributes:
        source: The directory or the URL.
        verified: Whether a key there verifies the token.
        code: ``verified``, or why no key does.
        kid: The kid of the key; if there is no such key, the token's.
        issuer: The issuer that publishes the key; None at a URL, and if no issuer knows the key.
        file: The key's file, if it is known.
        reason: The explanation.
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


def judge(source: str, token: Token, issuers: Mapping[str, Evaluated]) -> Sequence[Found]:
    """Check each issuer of a directory by itself.

    Returns:
        The rows of those that verify the token; else of those that know its key; else of those that only say who
        signed it, or have a fault; else one.
    """
    rows = [_of_issuer(source, token, path, one.issuer.evaluation) for path, one in issuers.items()]
    known = [row for row in rows if row.code != KidUnknown.code]
    if known:
        return [row for row in known if row.verified] or known
    unknown = refused(source, token, kid_unknown(token))
    hints = [row for row in rows if row.reason != unknown.reason]
    faults = [refused(source, token, one.fault, issuer=path) for path, one in issuers.items() if one.fault]
    return hints + faults or [unknown]


def _of_issuer(source: str, token: Token, issuer: str, evaluation: Evaluation) -> Found:
    served = evaluation.served
    published = [(json.loads(key.json), key) for key in served.keys] if served else []
    try:
        found = verifying_key(token, [jwk for jwk, _ in published])
    except TokenRefused as error:
        fault, file = error, next((key.file for _, key in published if key.kid == token.kid), None)
    else:
        key = next(key for jwk, key in published if jwk is found)
        return accepted(source, found, issuer=issuer, file=key.file, reason=_standing(key, evaluation))
    if isinstance(fault, KidUnknown) and token.kid is not None:
        fault, file = _explain(token.kid, evaluation) or (fault, None)
    return refused(source, token, fault, issuer=issuer, file=file)


def _explain(kid: str, evaluation: Evaluation) -> tuple[TokenRefused, str | None] | None:
    """Say what became of a key that isn't published, and name its file."""
    for verdict in evaluation.verdicts:
        if kid in verdict.kids and (error := _withheld(verdict)):
            return error, verdict.file
    refusals = {verdict.file: verdict for verdict in evaluation.verdicts if verdict.outcome == "refused"}
    for key in evaluation.withdrawn:
        if key.kid == kid:
            return _withdrawn(key, refusals.get(key.file)), key.file
    if evaluation.keyset and kid in evaluation.keyset.policy.revoked:
        return KeyRevoked("jwks.toml revokes the key; sign with another."), None
    return None


def _withheld(verdict: Verdict) -> TokenRefused | None:
    file = verdict.file
    match verdict.outcome:
        case "pending" if verdict.until is not None:
            return KeyPending(f"{file} is published at {utc(verdict.until)}, by jwks.toml; sign after that.")
        case "revoked":
            return KeyRevoked(f"jwks.toml revokes the key of {file}; sign with another.")
        case "removed" if verdict.since is not None:
            return KeyRetired(f"{file} retired at {utc(verdict.since)}, by jwks.toml; sign with another.")
        case _:
            return None


def _withdrawn(key: Key, refusal: Verdict | None) -> TokenRefused:
    if refusal and refusal.error:
        return KeyRetired(f"The file {key.file} is refused now [{refusal.error.code}]; sign with another key.")
    if key.retires_at is None:
        return KeyRetired(f"The file {key.file} is gone, and --retain keeps no key; sign with another.")
    return KeyRetired(f"{key.file} is gone, and retired at {utc(key.retires_at)}; sign with another.")


def _standing(key: Key, evaluation: Evaluation) -> str:
    """Say what is special about the key that verifies; when it was published is known from the state file only."""
    if key.state == "retiring" and key.retires_at is not None:
        return f"its file is gone, and it retires at {utc(key.retires_at)}"
    remembered = key.first_published is not None and key.first_published != evaluation.decided_at
    if remembered and key.safe_to_sign_at is not None:
        return f"safe to sign with from {utc(key.safe_to_sign_at)}"
    return ""
