"""A body -> the same body in every content coding (RFC 9110 section 8.4.1)."""

import gzip
import zlib
from collections.abc import Sequence
from functools import lru_cache

import brotli

# Keys are random, so the best compression would take milliseconds to save a few bytes. Above this size, which no
# client reads, the fastest level is used, and one coding.
_CAREFUL_COMPRESSION_BYTES = 256 * 1024

# A large body is cut into pieces that are compressed by themselves and remembered: one more key costs one piece.
# What follows from the contents decides where: after about one in a thousand base64url values of 32 bytes.
_CUT = b'AQ"'
_PIECES = 256
# RFC 1952: gzip, deflate, no flags, no time, the fastest level, an unknown system; as gzip.compress writes it.
_GZIP_HEADER = bytes.fromhex("1f8b08000000000004ff")
_LAST_BLOCK = b"\x03\x00"  # RFC 1951: an empty block that ends the stream


def encoded(body: bytes) -> Sequence[tuple[str, bytes]]:
    """Encode a body, ``identity`` first; the same body gives the same bytes on every replica.

    A large body has no ``br``: it would be 6 % smaller than ``gzip``, and can't be made in pieces.
    """
    if len(body) > _CAREFUL_COMPRESSION_BYTES:
        return ("identity", body), ("gzip", _large_gzip(body))
    compressed = gzip.compress(body, compresslevel=6, mtime=0)
    return ("identity", body), ("gzip", compressed), ("br", brotli.compress(body, quality=5))


def _large_gzip(body: bytes) -> bytes:
    trailer = zlib.crc32(body).to_bytes(4, "little") + (len(body) & 0xFFFFFFFF).to_bytes(4, "little")
    *pieces, last = body.split(_CUT)
    deflated = (*(_deflated(piece + _CUT) for piece in pieces), _deflated(last))
    return b"".join((_GZIP_HEADER, *deflated, _LAST_BLOCK, trailer))


@lru_cache(maxsize=_PIECES)
def _deflated(piece: bytes) -> bytes:
    """Compress a piece; the flush lets another one follow it in the same stream."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(piece) + compressor.flush(zlib.Z_FULL_FLUSH)
