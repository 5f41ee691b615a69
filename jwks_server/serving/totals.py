"""The figures of all issuers -> totals, whose number of series does not depend on how many issuers there are."""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from jwks_server.serving.issuer_metrics import Figures
from jwks_server.serving.slices import Steps

# The alert fires 14 days before.
_NEAR_SECONDS = 30 * 86400


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of all issuers together.

    Attributes:
        sets: How many issuers have a set.
        keys: The number of keys by stage and alg.
        refused: The number of refused files by code.
        digest: A digest of all sets, so that replicas can be compared; empty without a set.
        ends: When the published keys' certificates expire, the first one first.
        samples: Their samples, in the same order.
    """

    sets: int = 0
    keys: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    ends: tuple[float, ...] = ()
    samples: tuple[str, ...] = ()

    def certificates(self, now: float | None) -> str:
        """Return the samples of the certificates that expire soon after a time, or before; None for all."""
        soon = len(self.ends) if now is None else bisect_right(self.ends, now + _NEAR_SECONDS)
        return "".join(self.samples[:soon])


def total(found: Mapping[str, Figures]) -> Steps[Totals]:
    """Add up the figures of all issuers."""
    keys: Counter[tuple[str, str]] = Counter()
    refused: Counter[str] = Counter()
    digest = hashlib.sha256()
    certificates: list[tuple[float, str]] = []
    sets = 0
    for issuer, one in sorted(found.items()):
        keys.update(one.keys)
        refused.update(one.refused)
        certificates += one.certificates
        if one.digest:
            sets += 1
            digest.update(f"{issuer}\0{one.digest}\0".encode("utf-8", "backslashreplace"))
        yield
    certificates.sort()
    ends, samples = (tuple(part) for part in zip(*certificates, strict=True)) if certificates else ((), ())
    return Totals(sets, keys, refused, digest.hexdigest()[:32] if sets else "", ends, samples)
