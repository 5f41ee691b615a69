"""The head of a request: strict checks of what aiohttp is lax about (RFC 9110, RFC 9112)."""

import functools
import re
from ipaddress import IPv6Address
from typing import NoReturn

from jwks_server.errors import BadRequest, HeadTooLarge, VersionUnsupported

END = b"\r\n\r\n"

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A target has neither a fragment nor anything beyond printable ASCII (RFC 3986).
_LINE = _TOKEN + rb" [\x21\x22\x24-\x7e]+ HTTP/1\.[01]\r\n"
_FIELD = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n"
_WELL_FORMED = re.compile(_LINE + b"(?:" + _FIELD + b")*\r\n")
_REQUEST_LINE = re.compile(_LINE)
_OTHER_VERSION = re.compile(_TOKEN + rb" [\x21\x22\x24-\x7e]+ HTTP/[0-9](?:\.[0-9])?\r\n")
_NOTED = re.compile(rb"\r\n(Host|Content-Length|Transfer-Encoding|Upgrade):[ \t]*([^\r]*)", re.IGNORECASE)
_AUTHORITY = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::(?P<port>[0-9]{0,5}))?"
)
_MAX_PORT = 65535
_MAX_LENGTH_DIGITS = 19
# Line ends are counted apart.
_PLAIN = bytes((*b"\t\n\r", *range(0x20, 0x7F), *range(0x80, 0x100)))


def is_head_request(request: bytes) -> bool:
    """Return whether the answer must have no body (RFC 9110 section 9.3.2)."""
    return request.startswith(b"HEAD ")


def is_whole(data: bytes) -> bool:
    """Return whether the data is exactly one whole head, as it usually is."""
    return data.endswith(END) and data.find(END) == len(data) - len(END) and not data.startswith(b"\r\n")


def ends_connection(head: bytes, max_fields: int) -> bool:
    """Check a head, and return whether the request must be its connection's last.

    It must be if it has a body, which is not read, or asks for another protocol: what follows may not be HTTP/1.1.

    Args:
        head: A whole head, with its empty line.
        max_fields: How many fields it may have.

    Raises:
        Problem: HTTP/1.1 does not allow the head.
    """
    if not _WELL_FORMED.fullmatch(head):
        _refuse(head, max_fields)
    method, target, rest = head.split(b" ", 2)
    _check_target(method, target)
    if head.count(b"\r\n") - 2 > max_fields:
        raise _too_many(max_fields)
    old = rest.startswith(b"HTTP/1.0")
    hosts, lengths, codings, last = [], [], [], method == b"CONNECT"
    for name, value in _NOTED.findall(head):
        match name.lower():
            case b"host":
                hosts.append(value)
            case b"content-length":
                lengths.append(value.rstrip(b" \t"))
            case b"transfer-encoding":
                codings.append(value)
            case _:
                last = True
    _check_host(hosts, needed=not old)
    _check_framing(lengths, codings, old=old)
    return last or bool(codings) or (bool(lengths) and int(lengths[0]) > 0)


def check_plain(part: bytes | bytearray, name: str) -> None:
    """Refuse what can't be a part of a head, whatever follows: other control characters, a CR or LF alone.

    Args:
        part: The part; it may end with the first half of a line end.
        name: The part's name, for the statistics.

    Raises:
        BadRequest: It can't be a part of a head.
    """
    feeds, returns = part.count(b"\n"), part.count(b"\r")
    pairs = part.count(b"\r\n") if feeds else 0
    if feeds != pairs or returns != pairs + part.endswith(b"\r") or part.translate(None, _PLAIN):
        raise BadRequest("The data is not an HTTP request: its lines are plain characters and end in CRLF.", name)


def check_line(line: bytes) -> None:
    """Check a request line with its line end.

    Raises:
        Problem: HTTP/1.1 does not allow it.
    """
    if not _REQUEST_LINE.fullmatch(line):
        if _OTHER_VERSION.fullmatch(line):
            raise VersionUnsupported("The server speaks HTTP/1.1 and HTTP/1.0; use one of them.")
        raise BadRequest("The request line is not METHOD TARGET HTTP/1.1 (RFC 9112 section 3).", "request-line")
    method, target, _ = line.split(b" ", 2)
    _check_target(method, target)


def _check_target(method: bytes, target: bytes) -> None:
    if not target.startswith(b"/") and target != b"*" and b"://" not in target and method != b"CONNECT":
        raise BadRequest("The target of a request begins with a slash (RFC 9112 section 3.2).", "request-line")


def _refuse(head: bytes, max_fields: int) -> NoReturn:
    """Refuse a head that is not well formed, for the first byte with which it can't be."""
    fields = head.index(b"\r\n") + 2
    check_plain(head[:fields], "request-line")
    check_line(head[:fields])
    check_plain(head[fields:], "field")
    if head.count(b"\r\n") - 2 > max_fields:
        raise _too_many(max_fields)
    raise BadRequest("A header field is not NAME: VALUE on one line without control characters.", "field")


def _too_many(max_fields: int) -> HeadTooLarge:
    return HeadTooLarge(f"A request may have at most {max_fields} header fields; send fewer.")


def _check_host(values: list[bytes], *, needed: bool) -> None:
    """Check that there is one Host field and that its value is an authority (RFC 9112 section 3.2)."""
    if len(values) > 1 or (needed and not values):
        raise BadRequest("An HTTP/1.1 request must have exactly one Host field.", "host")
    for value in values:
        if not _is_authority(value.rstrip(b" \t")):
            raise BadRequest("The Host field is not HOST or HOST:PORT.", "host")


@functools.lru_cache(maxsize=256)
def _is_authority(text: bytes) -> bool:
    found = _AUTHORITY.fullmatch(text)
    return found is not None and int(found["port"] or 0) <= _MAX_PORT and _is_address(found["v6"])


def _is_address(text: bytes | None) -> bool:
    try:
        return text is None or bool(IPv6Address(text.decode("ascii")))
    except ValueError:
        return False


def _check_framing(lengths: list[bytes], codings: list[bytes], *, old: bool) -> None:
    """Refuse a head of which two readers could understand different bodies (RFC 9112 section 6)."""
    if codings and old:
        raise BadRequest("HTTP/1.0 does not have Transfer-Encoding.", "transfer-encoding")
    if codings and lengths:
        raise BadRequest("A request must not have both Content-Length and Transfer-Encoding.", "transfer-encoding")
    if codings and [one.strip(b" \t").lower() for one in codings] != [b"chunked"]:
        raise BadRequest("The only Transfer-Encoding that is supported is chunked.", "transfer-encoding")
    if len(lengths) > 1 or not all(one.isdigit() and len(one) <= _MAX_LENGTH_DIGITS for one in lengths):
        raise BadRequest("Content-Length must be one decimal number.", "content-length")
