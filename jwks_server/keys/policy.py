"""What the operator decides about a key set: flags give the defaults, ``jwks.toml`` the rest."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import get_args

from jwks_server.errors import PolicyInvalid
from jwks_server.keys import metadata
from jwks_server.keys.kinds import ED_ALGS, ENC_ALGS, OPTIONAL_KINDS, RSA_ALGS, SIG_ALGS, KidScheme, Kind, Use
from jwks_server.keys.table import FILE_NAME, Member, Table

MAX_SECONDS = 366 * 86400  # the longest time that can be set, here and by a flag
_LAST_INSTANT = 253370764800  # the year 9999, in seconds since the epoch; a later one can't be written in RFC 3339
# The parser's time and memory grow with the square of a dotted key's parts.
_MAX_PARTS = 32
_DEEP = re.compile(
    r"""(?:(?<![\w-])[\w-]++|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]++|"[^"\n]*"|'[^'\n]*')){32}"""
)


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """The operator's decisions about the keys of one file.

    Attributes:
        alg: RFC 7517 section 4.4; None takes what the file says, else the kind's own. So do ``use`` and ``kid``.
        use: RFC 7517 section 4.2; a file that says nothing holds keys for signatures.
        kid: RFC 7517 section 4.5; else it is made by the set's scheme.
        aliases: More key IDs under which the same key is published.
        publish_at: When the key enters the set, in seconds since the epoch; None means at once.
        remove_at: When it leaves the set, whether its file is there or not; None means never.
    """

    alg: str | None = None
    use: Use | None = None
    kid: str | None = None
    aliases: tuple[str, ...] = ()
    publish_at: float | None = None
    remove_at: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's decisions about one key set.

    Attributes:
        allow: Kinds to publish beyond the default ones, by name: ``Ed448``, ``secp256k1``, ``ML-DSA-44``...
        kid: How a key's ``kid`` is made.
        rsa_alg: The ``alg`` of RSA keys (RFC 7518 section 3.1).
        ed_alg: ``EdDSA`` (RFC 8037) or ``Ed25519``, the fully specified names (RFC 9864).
        x5c: Whether certificates are published beside their keys.
        max_age: How long a cache may keep the set, in seconds (RFC 9111 section 5.2.2.1).
        retain: How long a key stays published after its file vanished or was replaced, in seconds.
        allow_empty: Whether a set without any key may be published.
        revoked: Key IDs and thumbprints of keys that are never published, whatever else is said.
        issuer: The URL that turns the discovery documents on (RFC 8414 section 2); None leaves them off.
        metadata: What they say beyond the issuer and what follows from the keys.
        files: Decisions about single files, by name.
    """

    allow: frozenset[str] = frozenset()
    kid: KidScheme = "thumbprint"
    rsa_alg: str = "RS256"
    ed_alg: str = "EdDSA"
    x5c: bool = True
    max_age: int = 300
    retain: int = 0
    allow_empty: bool = False
    revoked: frozenset[str] = frozenset()
    issuer: str | None = None
    metadata: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, KeyPolicy] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, file: str) -> KeyPolicy:
        """Find the decisions about a file."""
        return self.files.get(file, _NOTHING_SAID)

    def allows(self, kind: Kind) -> bool:
        """Report whether keys of a kind may be published."""
        return bool(kind.sig or kind.enc) and (not kind.optional or kind.name in self.allow)


_NOTHING_SAID = KeyPolicy()


def parse(text: bytes, defaults: Policy) -> Policy:
    """Read a ``jwks.toml``.

    Args:
        text: The file's bytes.
        defaults: What holds where the file says nothing.

    Raises:
        PolicyInvalid: The message names the line and the key.
    """
    try:
        if _DEEP.search(said := text.decode("utf-8-sig")):
            raise PolicyInvalid(f"{FILE_NAME} has a key of more than {_MAX_PARTS} parts; write fewer dots.")
        document = tomllib.loads(said)
    except UnicodeDecodeError as exc:
        raise PolicyInvalid(f"{FILE_NAME} is not UTF-8; save it as UTF-8.") from exc
    except (ValueError, RecursionError) as exc:
        fault = str(exc).replace("at end of document", f"at line {len(text.splitlines())}, its end")
        raise PolicyInvalid(f"{FILE_NAME} is not TOML: {fault}; fix it.") from exc
    table = Table(said, ())
    files, further = document.pop("keys", {}), document.pop("metadata", {})
    if not isinstance(files, dict):
        raise table.error("keys", 'is not a table; write [keys."FILE"]')
    decided = table.read(document, SET)
    members = metadata.read(further, decided.get("issuer"), table.text)
    per_file = {name: _key_policy(Table(table.text, ("keys", name)), entry) for name, entry in files.items()}
    return replace(defaults, **decided, metadata=members, files=MappingProxyType(per_file))


def _key_policy(table: Table, entry: object) -> KeyPolicy:
    if not isinstance(entry, dict):
        raise table.error("", 'is not a table; write [keys."FILE"]')
    policy = KeyPolicy(**table.read(entry, FILE))
    use = policy.use or "sig"
    if policy.alg and policy.alg not in (ENC_ALGS if use == "enc" else SIG_ALGS):
        raise table.error("alg", f'is {policy.alg}, which is not for use = "{use}"')
    if policy.publish_at and policy.remove_at and policy.publish_at >= policy.remove_at:
        raise table.error("remove_at", "is not after publish_at")
    return policy


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SECONDS:
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(one) for one in value)


def _instant(value: object) -> float:
    if not isinstance(value, datetime) or value.tzinfo is None or not 0 <= value.timestamp() <= _LAST_INSTANT:
        raise ValueError
    return value.timestamp()


def _one_of(*choices: str) -> Member:
    def read(value: object) -> object:
        if value not in choices:
            raise ValueError
        return value

    return Member(f"one of {', '.join(choices)}", read)


def _some_of(*choices: str) -> Member:
    def read(value: object) -> frozenset[str]:
        if not isinstance(value, list) or not set(_texts(value)) <= set(choices):
            raise ValueError
        return frozenset(value)

    return Member(f"a list of {', '.join(choices)}", read)


_SECONDS = Member("a whole number of seconds, from 0 to a year", _seconds)
_BOOLEAN = Member("true or false", _boolean)
_INSTANT = Member("a date and time with its offset, such as 2026-11-24T08:00:00Z", _instant)
_KID = Member("a string of printable characters", _text)
_KIDS = Member("a list of strings of printable characters", _texts)

# The members of the file, and those of a [keys."FILE"].
SET = {
    "allow": _some_of(*OPTIONAL_KINDS),
    "kid": _one_of(*get_args(KidScheme)),
    "rsa_alg": _one_of(*RSA_ALGS),
    "ed_alg": _one_of(*ED_ALGS),
    "x5c": _BOOLEAN,
    "max_age": _SECONDS,
    "retain": _SECONDS,
    "allow_empty": _BOOLEAN,
    "revoked": Member("a list of kids", lambda value: frozenset(_texts(value))),
    "issuer": metadata.ISSUER,
}
FILE = {
    "alg": _one_of(*SIG_ALGS, *ENC_ALGS),
    "use": _one_of("sig", "enc"),
    "kid": _KID,
    "aliases": _KIDS,
    "publish_at": _INSTANT,
    "remove_at": _INSTANT,
}
