"""The header fields that count. No handler, nor aiohttp, nor the connection reads any other: those are left out."""

import re

# A handler that reads another field sees nothing: aiohttp doesn't get it.
READ = frozenset(
    {
        # By the handlers of the public and the admin application.
        b"accept",
        b"accept-encoding",
        b"if-match",
        b"if-none-match",
        # By the connection and aiohttp: what the message is, and what follows it.
        b"connection",
        b"content-encoding",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-key1",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
    }
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")
_ONES = b"\xff\xff"  # for a line end
_MAX_NAMES, _MAX_NAME_BYTES = 1024, 64


class _Counting(dict[bytes, bool]):
    """Reports whether a line counts by its beginning up to the colon; without a name and a colon it does."""

    def __missing__(self, beginning: bytes) -> bool:
        counts = not _NAME.fullmatch(beginning) or beginning[:-1].lower() in READ
        if len(self) < _MAX_NAMES and len(beginning) <= _MAX_NAME_BYTES:
            self[beginning] = counts
        return counts


_COUNTING = _Counting()


def relevant(head: bytes) -> bytes:
    """Leave out the fields that nobody reads. A line that is not a field stays, so a bad head stays a bad one.

    Args:
        head: A whole head. The values of its fields must be checked elsewhere: those that are left out are gone.
    """
    first, *lines = head.split(b"\r\n")
    counting = _COUNTING
    return b"\r\n".join((first, *[line for line in lines if counting[line[: line.find(b":") + 1]]]))


def mask(head: bytes) -> bytes:
    """Return a one bit for each bit that counts, and a zero bit for those in values that are left out.

    Args:
        head: As for ``relevant``.
    """
    first, *lines = head.removesuffix(b"\r\n").split(b"\r\n")
    parts = [b"\xff" * len(first)]
    for line in lines:
        size = line.find(b":") + 1
        if _COUNTING[line[:size]]:
            size = len(line)
        parts += (_ONES, b"\xff" * size, bytes(len(line) - size))
    return b"".join((*parts, _ONES))
