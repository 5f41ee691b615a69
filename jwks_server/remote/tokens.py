"""A token and the published keys -> the key that verifies it, or the exact reason why none does.

Only this module uses joserfc.
"""

import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import BadSignatureError, JoseError, MissingCritHeaderError, SecurityWarning
from joserfc.jwk import import_key
from joserfc.jws import JWSRegistry, deserialize_compact, extract_compact

from jwks_server.errors import KidUnknown, SignatureWrong, TokenAlgMismatch, TokenAlgUnsupported, TokenMalformed

Jwk = Mapping[str, Any]

_COMPACT_PARTS = 3
_ENCRYPTED_PARTS = 5


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the two members of its header that choose its key (RFC 7515 section 4.1)."""

    compact: str
    alg: str
    kid: str | None


def parse(text: str) -> Token:
    """Read a token's header.

    Raises:
        TokenMalformed: It is not a signed JWT.
        TokenAlgUnsupported: This program can't verify its alg.
    """
    compact = "".join(text.split()).removeprefix("Bearer")
    parts = compact.count(".") + 1
    if parts == _ENCRYPTED_PARTS:
        raise TokenMalformed(
            "The token is encrypted (RFC 7516), so only its receiver can read it; give a signed token."
        )
    try:
        header = extract_compact(compact.encode(), registry=_Registry()).headers() if parts == _COMPACT_PARTS else {}
    except MissingCritHeaderError as exc:
        raise _header_fault(exc) from exc
    except (JoseError, ValueError, TypeError, RecursionError):
        header = {}
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or not isinstance(kid, str | None):
        raise TokenMalformed(
            "The token is not three base64url parts with an alg in the first; check that it was copied whole."
        )
    if alg == "none" or alg.startswith("HS"):
        raise TokenAlgUnsupported(
            f"alg {alg} needs no public key, so no published key can verify it; sign with a private key."
        )
    if alg not in JWSRegistry.algorithms:
        raise TokenAlgUnsupported(f"alg {alg} is not one that this program can verify; use a client that knows it.")
    try:
        _registry(alg).check_header(header)
    except (JoseError, TypeError) as exc:
        raise _header_fault(exc) from exc
    return Token(compact, alg, kid)


class _Registry(JWSRegistry):
    max_header_length = 64 * 1024  # x5c makes a header long


def _registry(alg: str) -> JWSRegistry:
    """Make the rules for a header: any members are allowed, but no malformed or unknown critical ones."""
    return _Registry(algorithms=[alg], strict_check_header=False)


def _header_fault(exc: Exception) -> TokenMalformed:
    return TokenMalformed(
        f"The token's header breaks RFC 7515 section 4.1, so no key verifies it: {exc}; correct the signer."
    )


def verifying_key(token: Token, keys: Iterable[Jwk]) -> Jwk:
    """Find the key that verifies a token: the key with its kid, or any key if the token has no kid.

    Raises:
        KidUnknown: No key has its kid.
        TokenAlgMismatch: The key is for something else; if several fit, none of them can verify the alg.
        SignatureWrong: The key didn't make the signature.
    """
    keys = list(keys)
    named = [key for key in keys if token.kid is None or key.get("kid") == token.kid]
    if not named:
        raise kid_unknown(token, _hint(token, keys))
    fitting = [key for key in named if _is_for(token, key)]
    if not fitting:
        purposes = ", ".join(sorted({f"{key.get('use', 'sig')} {key.get('alg', '')}".strip() for key in named}))
        raise TokenAlgMismatch(f"The token has alg {token.alg}, and the key is for {purposes}; correct the signer.")
    mismatches = []
    for key in fitting:
        try:
            if _verifies(token, key):
                return key
        except (
            TokenAlgMismatch
        ) as mismatch:  # whether a key without alg can verify the token shows only when it is tried
            mismatches.append(mismatch)
    if len(mismatches) == len(fitting):
        raise mismatches[0]
    raise SignatureWrong(
        "Another key made the signature, or the token was changed; compare the signer's key with the published keys."
    )


def kid_unknown(token: Token, hint: str = "") -> KidUnknown:
    """Make the error about a token whose key is not there, with a hint."""
    unknown = "There are no keys" if token.kid is None else f"No key has the kid {token.kid}"
    return KidUnknown(f"{unknown}.{hint}")


def _is_for(token: Token, key: Jwk) -> bool:
    return bool(key.get("alg", token.alg) == token.alg and key.get("use", "sig") == "sig")


def _hint(token: Token, keys: Iterable[Jwk]) -> str:
    for key in keys:
        made_by = False
        with suppress(TokenAlgMismatch):  # another key of the set that can't be used is not about this token
            made_by = _is_for(token, key) and _verifies(token, key)
        if made_by:
            return f" The key {key.get('kid')} made the signature: the signer uses another kid for it; see --kid."
    return ""


def _verifies(token: Token, key: Jwk) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # the issuer decided which keys to publish
        try:
            deserialize_compact(token.compact, import_key(dict(key)), registry=_registry(token.alg))
        except BadSignatureError:
            return False
        except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm) as exc:
            raise TokenAlgMismatch(f"The key {key.get('kid')} can't verify {token.alg}: {exc}; see inspect.") from exc
    return True
