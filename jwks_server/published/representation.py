"""A body -> finished replies: codings, entity tags, headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jwks_server.keys.jwk import digest
from jwks_server.published.codings import encoded
from jwks_server.published.freshness import Freshness

CORS = {"Access-Control-Allow-Origin": "*"}
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A finished reply in one content coding.

    Attributes:
        coding: ``identity``, ``gzip`` or ``br``.
        body: The bytes to send.
        etag: A strong entity tag: the digest of exactly these bytes, so each coding has a tag of its own.
        headers: What a 200 carries, beside Cache-Control.
        revalidated: What a 304 carries (RFC 9110 section 15.4.5), beside Cache-Control.
    """

    coding: str
    body: bytes
    etag: str
    headers: Mapping[str, str]
    revalidated: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Representation:
    """A body, finished in every coding but for Cache-Control, which is made when a reply is.

    Attributes:
        variants: The codings.
        freshness: How long a cache may use it.
    """

    variants: tuple[Variant, ...]
    freshness: Freshness


def render(body: bytes, fresh: Freshness, media_type: str, before: Representation | None = None) -> Representation:
    """Render a body in every coding; the same body gives the same bytes and tags on every replica.

    Args:
        body: What to send.
        fresh: How long a cache may use it.
        media_type: The Content-Type.
        before: What was served last; a body that is the same is not encoded again.
    """
    shared = {
        "Vary": "Accept-Encoding",
        **CORS,
        **NO_SNIFFING,
    }
    bodies = _encoded_before(before, body) or encoded(body)
    return Representation(tuple(_variant(coding, data, media_type, shared) for coding, data in bodies), fresh)


def _encoded_before(before: Representation | None, body: bytes) -> Sequence[tuple[str, bytes]]:
    encoded = [(one.coding, one.body) for one in before.variants] if before else []
    return encoded if ("identity", body) in encoded else ()


def _variant(coding: str, body: bytes, media_type: str, shared: Mapping[str, str]) -> Variant:
    revalidated = {"ETag": f'"{digest(body)}"', **shared}
    encoding = {} if coding == "identity" else {"Content-Encoding": coding}
    headers = {"Content-Type": media_type, **encoding, **revalidated}
    return Variant(coding, body, revalidated["ETag"], headers, revalidated)
