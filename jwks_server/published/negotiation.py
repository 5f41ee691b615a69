"""Request header lines -> the variant to send, and whether a condition holds (RFC 9110 sections 12.5.3 and 13)."""

import re
from collections.abc import Iterable, Mapping, Sequence

from jwks_server.published.representation import Variant

_CODING = re.compile(
    r"""[ \t]*(?P<coding>[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*
        (?:;[ \t]*q=(?P<q>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?""",
    re.VERBOSE | re.IGNORECASE,
)
# An entity tag may hold commas, so a list of them can't be split at its commas.
_ENTITY_TAG = re.compile(r'[ \t]*(?P<weak>W/)?(?P<tag>"[\x21\x23-\x7e\x80-\U0010ffff]*")[ \t]*(?:,|\Z)')
_UNLISTED_IDENTITY = 1e-6


def choose(variants: Sequence[Variant], accept_encoding: Sequence[str]) -> Variant | None:
    """Choose the best acceptable variant; a coding is used only if it was asked for and saves bytes.

    Args:
        variants: The variants of a page; ``identity`` is the first of them.
        accept_encoding: The values of the header's lines; empty if the client sent none.

    Returns:
        The variant, or None if the client excludes all of them.
    """
    if not accept_encoding and variants[0].coding == "identity":
        return variants[0]
    weights = _weights(accept_encoding)
    ranked = [(rank, variant) for variant in variants if (rank := _rank(variant, weights))[0] > 0]
    plain = next((variant for _, variant in ranked if variant.coding == "identity"), None)
    if plain:
        ranked = [(rank, one) for rank, one in ranked if one is plain or len(one.body) < len(plain.body)]
    return max(ranked, key=lambda item: item[0])[1] if ranked else None


def accepts(coding: str, accept_encoding: Sequence[str]) -> bool:
    """Report whether a client asked for a coding, and prefers nothing to it.

    Args:
        coding: One other than ``identity``.
        accept_encoding: As for ``choose``.
    """
    weights = _weights(accept_encoding)
    weight = weights.get(coding, weights.get("*", 0.0))
    return weight >= weights.get("identity", _UNLISTED_IDENTITY)


def none_match(lines: Sequence[str], etag: str) -> bool:
    """Evaluate If-None-Match with weak comparison; without lines it holds (section 13.1.2)."""
    return not lines or not _names(lines, etag, weakly=True)


def match(lines: Sequence[str], etag: str) -> bool:
    """Evaluate If-Match with strong comparison; without lines it holds (section 13.1.1)."""
    return not lines or _names(lines, etag, weakly=False)


def _weights(lines: Iterable[str]) -> Mapping[str, float]:
    weights = {}
    for member in ",".join(lines).split(","):
        if found := _CODING.fullmatch(member):
            coding = found["coding"].lower().removeprefix("x-")  # x-gzip is gzip (RFC 9110 section 8.4.1.3)
            weights[coding] = float(found["q"] or 1)
    return weights


def _rank(variant: Variant, weights: Mapping[str, float]) -> tuple[float, bool, int]:
    """Rank by weight, then codings that are named before those that only ``*`` allows, then by size."""
    plain = variant.coding == "identity"
    unlisted = weights.get("*", _UNLISTED_IDENTITY if plain else 0)
    return weights.get(variant.coding, unlisted), plain or variant.coding in weights, -len(variant.body)


def _names(lines: Sequence[str], etag: str, *, weakly: bool) -> bool:
    """Return whether a list of entity tags, or ``*``, contains this tag; members that are not tags are skipped."""
    value = ",".join(lines)
    if value.strip(" \t") == "*":
        return True
    at = 0
    while at < len(value):
        found = _ENTITY_TAG.match(value, at)
        if found is None:
            at = value.find(",", at) + 1 or len(value)
        elif found["tag"] == etag and (weakly or not found["weak"]):
            return True
        else:
            at = found.end()
    return False
