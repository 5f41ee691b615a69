"""KeySet -> finished replies: bodies, entity tags, headers."""

import base64
import functools
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import brotli

from jwks_server.keys.keyset import KeySet

# Keys are random, so the best compression would take milliseconds to save some bytes. Beyond this size, which no
# client reads, the least is enough.
_CAREFUL_COMPRESSION_BYTES = 256 * 1024

CORS = {"Access-Control-Allow-Origin": "*"}
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A finished reply in one content coding.

    Attributes:
        coding: ``identity``, ``gzip`` or ``br``.
        body: The bytes to send.
        etag: A strong entity tag: the digest of exactly these bytes, so each coding has its own.
        headers: What a 200 carries.
        revalidated: What a 304 carries (RFC 9110 section 15.4.5).
    """

    coding: str
    body: bytes
    etag: str
    headers: Mapping[str, str]
    revalidated: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Representation:
    """A key set, finished in every coding."""

    variants: tuple[Variant, ...]


def render(keyset: KeySet, max_age: int, media_type: str) -> Representation:
    """Finish the replies of a set; the same set gives the same bytes and tags on every replica.

    Args:
        keyset: What to publish.
        max_age: How long a cache may keep it, in seconds.
        media_type: The Content-Type.
    """
    shared = {
        "Cache-Control": f"public, max-age={max_age}, stale-if-error=86400",
        "Vary": "Accept-Encoding",
        **CORS,
        **NO_SNIFFING,
    }
    return Representation(tuple(_variant(coding, data, media_type, shared) for coding, data in _encoded(keyset.body)))


@functools.lru_cache(maxsize=2)
def _encoded(body: bytes) -> tuple[tuple[str, bytes], ...]:
    """Encode a body in every coding; near a scheduled change only the headers are rendered anew, each second."""
    small = len(body) <= _CAREFUL_COMPRESSION_BYTES
    return (
        ("identity", body),
        ("gzip", gzip.compress(body, compresslevel=6 if small else 1, mtime=0)),
        ("br", brotli.compress(body, quality=5 if small else 1)),
    )


def _variant(coding: str, body: bytes, media_type: str, shared: Mapping[str, str]) -> Variant:
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode("ascii")
    revalidated = {"ETag": f'"{digest}"', **shared}
    encoding = {} if coding == "identity" else {"Content-Encoding": coding}
    headers = {"Content-Type": media_type, **encoding, **revalidated}
    return Variant(coding, body, revalidated["ETag"], headers, revalidated)
