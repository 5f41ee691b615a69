"""JSON bytes -> one object, read strictly, and its members by type (RFC 8259, RFC 7515 section 2)."""

import base64
import json
import re
from collections.abc import Collection, Mapping, Sequence

from jwks_server.errors import JwkMalformed, JwkMissing

MAX_DEPTH = 16
_BASE64URL = re.compile("[A-Za-z0-9_-]+")
# What opens and closes, and texts, of which the last may be cut short; before a colon one is a member's name.
_TOKEN = re.compile(rb'[][{}]|"((?:[^"\\]|\\.)*+)(?:"(?P<colon>\s*+:)?|\\?\Z)', re.DOTALL)

Object = Mapping[str, object]


def read(data: bytes) -> Object:
    """Read a file that holds one JSON object, as UTF-8 with or without a byte order mark.

    A repeated member is an error: it would mean different keys to different readers.

    Raises:
        JwkMissing: It is another kind of JSON.
        JwkMalformed: It is empty, or not JSON.
    """
    if not data.strip():
        raise JwkMalformed("The file is empty; write the key as a JWK, or remove the file.")
    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_members, parse_constant=_refuse)
    except UnicodeDecodeError:  # these errors hold the file, so they are not passed on
        raise JwkMalformed("The file is not UTF-8; save it as UTF-8.") from None
    except (ValueError, RecursionError) as exc:
        where = f" at line {exc.lineno}" if isinstance(exc, json.JSONDecodeError) else ""
        raise JwkMalformed(f"The file is not JSON{where}; write it again.") from None
    if not isinstance(document, dict):
        raise JwkMissing("The JSON is not an object, so it is neither a JWK nor a JWK Set; write one.")
    return document


def begins_with_member(data: bytes, names: Collection[str]) -> bool:
    """Report whether one of these members is in the object that bytes begin with; the bytes may be cut short."""
    depth = 0
    for token in _TOKEN.finditer(data):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if depth == 1 and token["colon"] and token[1].decode("utf-8", "replace") in names:
            return True
    return False


def insist_on_depth(document: Object) -> None:
    """Refuse an object that is nested too deeply."""
    if _depth(document) > MAX_DEPTH:
        raise JwkMalformed(f"The file's JSON has more than {MAX_DEPTH} levels; write only keys into it.")


def text(members: Object, name: str) -> str:
    """Return a member that must be there, as a text that isn't empty."""
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise JwkMalformed(f"The member {name!r} of a JWK is missing or is not a string; write the file again.")
    return value


def optional_text(members: Object, name: str) -> str | None:
    """Return a member as a text that isn't empty; None if it isn't there."""
    return text(members, name) if name in members else None


def base64url(members: Object, name: str) -> bytes:
    """Decode a member that must be there; only one text stands for the same bytes."""
    value = text(members, name)
    try:
        if _BASE64URL.fullmatch(value):
            data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
            if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") == value:
                return data
    except ValueError:
        pass  # a length that no bytes have
    raise JwkMalformed(f"The member {name!r} of a JWK is not base64url without padding; write the file again.")


def texts(members: Object, name: str) -> Sequence[str]:
    """Return a member as a list of texts; empty if it isn't there."""
    value = members.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise JwkMalformed(f"The member {name!r} of a JWK is not a list of strings; write the file again.")
    return value


def _members(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        if name in members:
            raise JwkMalformed("An object of the file has a member twice; remove one of them.")
        members[name] = value
    return members


def _refuse(_constant: str) -> object:
    raise JwkMalformed("The file has a number that is not JSON; write it again.")


def _depth(document: object) -> int:
    level, depth = [document], 0
    while level:
        depth += 1
        level = [inner for one in level for inner in _inside(one)]
    return depth


def _inside(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()
