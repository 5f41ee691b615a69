"""The head of a request: what aiohttp is lax about, refused before it sees it (RFC 9110, RFC 9112)."""

import functools
import re
from ipaddress import IPv6Address

from jwks_server.errors import BadRequest, HeadTooLarge, Problem, VersionUnsupported

END = b"\r\n\r\n"

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A target has neither a fragment nor anything beyond printable ASCII (RFC 3986).
_LINE = _TOKEN + rb" [\x21\x22\x24-\x7e]+ HTTP/1\.[01]\r\n"
_FIELD = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n"
_WELL_FORMED = re.compile(_LINE + b"(?:" + _FIELD + b")*\r\n")
_REQUEST_LINE = re.compile(_LINE)
_FIELDS = re.compile(b"(?:" + _FIELD + b")*\r\n")
_OTHER_VERSION = re.compile(_TOKEN + rb" [\x21\x22\x24-\x7e]+ HTTP/[0-9](?:\.[0-9])?\r\n")
_NOTED = re.compile(rb"\r\n(Host|Content-Length|Transfer-Encoding|Upgrade):[ \t]*([^\r]*)", re.IGNORECASE)
_AUTHORITY = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::(?P<port>[0-9]{0,5}))?"
)
_MAX_PORT = 65535
_MAX_LENGTH_DIGITS = 19
_HOPELESS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")


class RequestHeads:
    """A connection's bytes, cut into heads.

    Args:
        max_head: The bytes that a head may have.
    """

    def __init__(self, max_head: int) -> None:
        self._max_head = max_head
        self._data = b""
        self._at = 0

    def __len__(self) -> int:
        """Count the bytes that are not cut off yet."""
        return len(self._data) - self._at

    @property
    def beginning(self) -> bytes:
        """The first bytes that are not cut off yet."""
        return self._data[self._at : self._at + 16]

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        self._data, self._at = self._data[self._at :] + data, 0

    def cut(self) -> bytes | None:
        """Cut off the next whole head; None where its end has yet to come.

        Raises:
            Problem: It is too large, or can't become one.
        """
        while self._data.startswith(b"\r\n", self._at):  # some clients send one too many (RFC 9112 section 2.2)
            self._at += 2
        end = self._data.find(END, self._at)
        if (end - self._at if end >= 0 else len(self)) > self._max_head - len(END):
            raise HeadTooLarge(f"A request's head has at most {self._max_head} bytes here.")
        if end < 0:
            if _HOPELESS.search(self._data, self._at):
                raise BadRequest("What was sent is no HTTP request: its lines end in CRLF.", "request-line")
            return None
        begin, self._at = self._at, end + len(END)
        return self._data[begin : self._at]


def is_blank(data: bytes) -> bool:
    """Tell whether these are only line ends, which begin no request."""
    return not data.strip(b"\r\n")


def is_head_request(request: bytes) -> bool:
    """Tell whether the answer must have no body (RFC 9110 section 9.3.2)."""
    return request.startswith(b"HEAD ")


def is_whole(data: bytes) -> bool:
    """Tell whether these bytes are one whole head, as they mostly are."""
    return data.endswith(END) and data.find(END) == len(data) - len(END) and not data.startswith(b"\r\n")


def ends_connection(head: bytes, max_fields: int) -> bool:
    """Tell whether a request must be its connection's last: what follows it may be no request of HTTP/1.1.

    That is so where it has a body, which nobody here reads, or asks for another protocol.

    Args:
        head: A whole head, with its empty line.
        max_fields: How many fields it may have.

    Raises:
        Problem: It is no request that HTTP/1.1 allows.
    """
    if head.count(b"\r\n") - 2 > max_fields:
        raise HeadTooLarge(f"A request has at most {max_fields} header fields here; send fewer.")
    if not _WELL_FORMED.fullmatch(head):
        raise _malformed(head)
    method, target, _ = head.split(b" ", 2)
    if not target.startswith(b"/") and target != b"*" and b"://" not in target and method != b"CONNECT":
        raise BadRequest("The target of a request begins with a slash (RFC 9112 section 3.2).", "request-line")
    old = head[head.index(b"\r\n") - 1] == ord("0")
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


def _malformed(head: bytes) -> Problem:
    if found := _REQUEST_LINE.match(head):
        if _FIELDS.fullmatch(head, found.end()):
            raise AssertionError("a head of a good line and good fields is well formed")
        return BadRequest("A header field is not NAME: VALUE on one line of plain characters.", "field")
    if _OTHER_VERSION.match(head):
        return VersionUnsupported("HTTP/1.1 and HTTP/1.0 are spoken here; use one of them.")
    return BadRequest(
        "The request line is not METHOD TARGET HTTP/1.1 with a target as RFC 9112 has it.", "request-line"
    )


def _check_host(values: list[bytes], *, needed: bool) -> None:
    """Insist on one Host field, with an authority in it (RFC 9112 section 3.2)."""
    if len(values) > 1 or (needed and not values):
        raise BadRequest("A request of HTTP/1.1 has exactly one Host field.", "host")
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
    """Refuse what two readers could take for two different bodies (RFC 9112 section 6)."""
    if codings and old:
        raise BadRequest("Transfer-Encoding is not for HTTP/1.0.", "transfer-encoding")
    if codings and lengths:
        raise BadRequest("A request has Content-Length or Transfer-Encoding, not both.", "transfer-encoding")
    if codings and [one.strip(b" \t").lower() for one in codings] != [b"chunked"]:
        raise BadRequest("The only Transfer-Encoding here is chunked.", "transfer-encoding")
    if len(lengths) > 1 or not all(one.isdigit() and len(one) <= _MAX_LENGTH_DIGITS for one in lengths):
        raise BadRequest("Content-Length is one decimal number.", "content-length")
