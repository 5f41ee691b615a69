"""``issuer`` and ``[metadata]`` of ``jwks.toml``: the discovery members that do not follow from the keys."""

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.table import Member, Table

# Where the documents are (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).
OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"

# These follow from the issuer and the published keys, so they can't contradict them.
ALGORITHMS = "id_token_signing_alg_values_supported"
_DERIVED = ("issuer", "jwks_uri", ALGORITHMS)

_ENDPOINTS = ("authorization_endpoint", "token_endpoint")
_LISTS = ("response_types_supported", "subject_types_supported")
_GRANTS = "grant_types_supported"
# RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3.
_DEFAULT_GRANTS = ("authorization_code", "implicit")

# RFC 8414 section 2: https, without query and fragment. On the loopback interface nobody can listen, so http is
# allowed there, for experiments.
_URL = re.compile(
    r"""(?: https:// (?: [A-Za-z0-9-]+ (?: \. [A-Za-z0-9-]+ )* | \[[0-9A-Fa-f:.]+\] )
          | http:// (?: localhost | 127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3} | \[::1\] ) )
        (?: :(?P<port>[0-9]{1,5}) )?
        (?: / (?! \.{1,2}(?:/|\Z) ) (?: [A-Za-z0-9._~!$&'()*+,;=:@-] | %[0-9A-Fa-f]{2} )+ )* /?
    """,
    re.VERBOSE,
)


_MAX_PORT = 65535
_ENCODED_DOT = re.compile("%2e", re.IGNORECASE)
_ENDPOINT = re.compile(r"https?://[^\s/?#]+(?:[/?][^\s#]*)?")
# What every JSON reader keeps exactly (RFC 7493 section 2.2), and how deep a member may be.
_MAX_INTEGER = 2**53 - 1
_MAX_DEPTH = 16


def _issuer(value: object) -> str:
    if not isinstance(value, str) or not (found := _URL.fullmatch(value)):
        raise ValueError
    if int(found["port"] or 0) > _MAX_PORT or _ENCODED_DOT.search(value):
        raise ValueError
    return value


ISSUER = Member(
    "an https URL without query and fragment (http only for localhost and loopback addresses); "
    "write it as the iss of the tokens, such as https://id.example.com/acme",
    _issuer,
)


def read(entry: object, issuer: str | None, text: str) -> Mapping[str, object]:
    """Read the ``[metadata]`` of a file.

    Args:
        entry: The table's contents.
        issuer: What the file says of the issuer.
        text: The whole file, in which to find a key's line.

    Returns:
        The members as they are to be published.

    Raises:
        PolicyInvalid: A member is not allowed, or a member is missing that RFC 8414 section 2 or OpenID Connect
            Discovery 1.0 section 3 requires.
    """
    table = Table(text, ("metadata",))
    if not isinstance(entry, dict):
        raise Table(text, ()).error("metadata", "is not a table; write [metadata]")
    if issuer is None:
        if entry:
            raise table.error("", 'is published with issuer = "https://..." only; write that above the tables')
        return MappingProxyType({})
    for name, value in entry.items():
        if fault := _fault(name, value):
            raise table.error(name, fault)
    if missing := [name for name in _required(entry) if name not in entry]:
        raise _incomplete(missing, text)
    return MappingProxyType(entry)


def _fault(name: str, value: object) -> str | None:
    if name in (*_DERIVED, "signed_metadata"):  # signed_metadata would override what is derived
        return "can't be set here: it follows from issuer and from the published keys"
    if not _is_json(value, _MAX_DEPTH):
        return "has a value that JSON can't hold; write dates as strings, no inf or nan, and integers up to 2**53"
    if value == []:
        return "is empty; leave it out (RFC 8414 section 3.2)"
    if name in _ENDPOINTS and not (isinstance(value, str) and _ENDPOINT.fullmatch(value)):
        return "is not an http or https URL"
    if name in (*_LISTS, _GRANTS) and not (
        isinstance(value, list) and all(one and isinstance(one, str) for one in value)
    ):
        return "is not a list of strings"
    return None


def _is_json(value: object, depth: int) -> bool:
    match value:
        case dict() | list() if depth == 0:
            return False
        case dict():
            return all(_is_json(one, depth - 1) for one in value.values())
        case list():
            return all(_is_json(one, depth - 1) for one in value)
        case float():
            return math.isfinite(value)
        case int():  # bool is one
            return abs(value) <= _MAX_INTEGER
        case _:
            return isinstance(value, str)


def _required(entry: Mapping[str, list[str]]) -> Iterator[str]:
    """Name the members that both documents need, except the derived ones."""
    grants = set(entry.get(_GRANTS, _DEFAULT_GRANTS))
    if grants & set(_DEFAULT_GRANTS):
        yield "authorization_endpoint"
    if grants != {"implicit"}:
        yield "token_endpoint"
    yield from _LISTS


def _incomplete(missing: list[str], text: str) -> PolicyInvalid:
    return Table(text, ()).error(
        "issuer",
        f"needs {', '.join(missing)} in [metadata] (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3)",
    )
