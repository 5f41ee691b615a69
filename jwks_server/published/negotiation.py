"""Request header lines -> which version of a reply is asked for (RFC 9110 sections 12.5.3 and 13)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

_CODING = re.compile(
    r"""[ \t]*(?P<coding>[!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*
        (?:;[ \t]*q=(?P<q>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?""",
    re.VERBOSE | re.IGNORECASE,
)
# An entity tag may hold commas, so a list of them can't be split at its commas.
_ENTITY_TAG = re.compile(r'[ \t]*(?P<weak>W/)?(?P<tag>"[\x21\x23-\x7e\x80-\U0010ffff]*")[ \t]*(?:,|\Z)')
_UNLISTED_IDENTITY = 1e-6


class Variant(Protocol):
    """A version of a reply in one content coding."""

    @property
    def coding(self) -> str:
        """The coding's name in the IANA registry, or ``identity``."""

    @property
    def body(self) -> bytes:
        """The encoded bytes."""


V = TypeVar("V", bound=Variant)


def choose(variants: Sequence[V], accept_encoding: Sequence[str]) -> V | None:
    """Choose the best acceptable variant; a coding is never used unless it was asked for and saves bytes.

    Args:
        variants: What there is; the first of them is ``identity``, if there is that.
        accept_encoding: The header's lines, none where the client sent none.

    Returns:
        The variant, or None where the client rules out every one.
    """
    if not accept_encoding and variants[0].coding == "identity":
        return variants[0]
    weights = _weights(accept_encoding)
    ranked = [(rank, variant) for variant in variants if (rank := _rank(variant, weights))[0] > 0]
    plain = next((variant for _, variant in ranked if variant.coding == "identity"), None)
    if plain:
        ranked = [(rank, one) for rank, one in ranked if one is plain or len(one.body) < len(plain.body)]
    return max(ranked, key=lambda item: item[0])[1] if ranked else None


def none_match(lines: Sequence[str], etag: str) -> bool:
    """Evaluate If-None-Match with weak comparison; no lines are a condition that holds (section 13.1.2)."""
    return not lines or not _names(lines, etag, weakly=True)


def match(lines: Sequence[str], etag: str) -> bool:
    """Evaluate If-Match with strong comparison; no lines are a condition that holds (section 13.1.1)."""
    return not lines or _names(lines, etag, weakly=False)


def _weights(lines: Iterable[str]) -> Mapping[str, float]:
    weights = {}
    for member in ",".join(lines).split(","):
        if found := _CODING.fullmatch(member):
            coding = found["coding"].lower().removeprefix("x-")  # x-gzip is gzip (RFC 9110 section 8.4.1.3)
            weights[coding] = float(found["q"] or 1)
    return weights


def _rank(variant: Variant, weights: Mapping[str, float]) -> tuple[float, bool, int]:
    """Rank by weight, then what is asked for by name before what ``*`` merely allows, then by size."""
    plain = variant.coding == "identity"
    unlisted = weights.get("*", _UNLISTED_IDENTITY if plain else 0)
    return weights.get(variant.coding, unlisted), plain or variant.coding in weights, -len(variant.body)


def _names(lines: Sequence[str], etag: str, *, weakly: bool) -> bool:
    """Tell whether a list of entity tags, or ``*``, names this one; members that are no tags are passed over."""
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
