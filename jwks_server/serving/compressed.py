"""Texts that consist of parts which change at different times, compressed part by part into one gzip stream."""

import struct
import zlib
from collections.abc import Sequence
from functools import partial

from jwks_server.threads import in_thread

_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LAST_BLOCK = b"\x03\0"
_LEVEL = 3
_SMALL_BYTES = 32 * 1024


class Part:
    """A part of a text, which is compressed once, when that is first asked for.

    Args:
        data: Its bytes.

    Attributes:
        data: Its bytes.
    """

    __slots__ = ("_deflated", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._deflated: bytes | None = None

    async def deflated(self) -> bytes:
        """Return the compressed part. A large one takes a thread: zlib doesn't hold the interpreter's lock."""
        if self._deflated is None:
            compress = partial(_deflate, self.data)
            self._deflated = compress() if len(self.data) <= _SMALL_BYTES else await in_thread(compress)
        return self._deflated


async def gzipped(parts: Sequence[Part]) -> bytes:
    """Compress parts into one gzip stream (RFC 1952)."""
    blocks = [await part.deflated() for part in parts]
    check = 0
    for part in parts:
        check = zlib.crc32(part.data, check)
    size = sum(len(part.data) for part in parts)
    return b"".join((_HEADER, *blocks, _LAST_BLOCK, struct.pack("<LL", check, size & 0xFFFFFFFF)))


def _deflate(data: bytes) -> bytes:
    """Compress to blocks that refer to nothing before them and end at a byte, so that others can follow."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
