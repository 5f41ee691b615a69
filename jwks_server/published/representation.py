"""A body -> finished replies: codings, entity tags, headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jwks_server.keys.jwk import digest
from jwks_server.published.codings import encoded

CORS = {"Access-Control-Allow-Origin": "*"}
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A finished reply in one content coding.

    Attributes:
        coding: ``identity``, ``gzip`` or ``br``.
        body: The bytes to send.
        etag: A strong entity tag: the digest of exactly these bytes, so each coding has a tag of its own.
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
    """A body, finished in every coding."""

    variants: tuple[Variant, ...]


def render(body: bytes, max_age: int, media_type: str, before: Representation | None = None) -> Representation:
    """Render a body in every coding; the same body gives the same bytes and tags on every replica.

    Args:
        body: What to send.
        max_age: How long a cache may keep it, in seconds.
        media_type: The Content-Type.
        before: What was served last. Near a scheduled change only the headers change each second, so a body that
            is the same is not encoded again.
    """
    shared = {
        "Cache-Control": f"public, max-age={max_age}, stale-if-error=86400",
        "Vary": "Accept-Encoding",
        **CORS,
        **NO_SNIFFING,
    }
    bodies = _encoded_before(before, body) or encoded(body)
    return Representation(tuple(_variant(coding, data, media_type, shared) for coding, data in bodies))


def _encoded_before(before: Representation | None, body: bytes) -> Sequence[tuple[str, bytes]]:
    encoded = [(one.coding, one.body) for one in before.variants] if before else []
    return encoded if ("identity", body) in encoded else ()


def _variant(coding: str, body: bytes, media_type: str, shared: Mapping[str, str]) -> Variant:
    revalidated = {"ETag": f'"{digest(body)}"', **shared}
    encoding = {} if coding == "identity" else {"Content-Encoding": coding}
    headers = {"Content-Type": media_type, **encoding, **revalidated}
    return Variant(coding, body, revalidated["ETag"], headers, revalidated)
