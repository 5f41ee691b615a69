"""What the state file remembers of earlier sets, beside their keys: their max-ages, and the keys that are revoked."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from jwks_server.keys.keyset import KeySet, Lifetime
from jwks_server.keys.policy import MAX_SECONDS, Policy


def written(keysets: Mapping[str, KeySet]) -> Mapping[str, str]:
    """Write what caches and revocations go by, as JSON.

    Returns:
        ``max_ages``, by the issuer's path the current max-age and the longer ones, since caches may hold a set for as
        long as it was served with; and ``revoked``, the kids and thumbprints of published keys that are revoked.
    """
    max_ages = {
        path: {
            "max_age": keyset.policy.max_age,
            "before": [[one.max_age, one.served_until] for one in keyset.lifetimes],
        }
        for path, keyset in keysets.items()
    }
    revoked = {path: sorted(keyset.revoked) for path, keyset in keysets.items() if keyset.revoked}
    return {"max_ages": json.dumps(max_ages), "revoked": json.dumps(revoked)}


def with_history(keysets: Mapping[str, KeySet], document: Mapping[str, Any]) -> dict[str, KeySet]:
    """Add what ``written`` wrote to the sets; a state file of an earlier version has nothing of it.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: The file is damaged.
    """
    max_ages, revoked = document.get("max_ages", {}), document.get("revoked", {})
    return {
        path: replace(_with_lifetimes(keyset, max_ages.get(path)), revoked=_revoked(revoked.get(path, ())))
        for path, keyset in keysets.items()
    }


def _revoked(identities: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    found = frozenset((kid, thumbprint) for kid, thumbprint in identities)
    if not all(isinstance(one, str) for identity in found for one in identity):
        raise TypeError("a kid or a thumbprint is not a string")
    return found


def _with_lifetimes(keyset: KeySet, entry: Mapping[str, Any] | None) -> KeySet:
    if entry is None:
        return replace(keyset, policy=Policy(max_age=0))
    before = tuple(Lifetime(_seconds(max_age), _time(until)) for max_age, until in entry["before"])
    return replace(keyset, policy=Policy(max_age=_seconds(entry["max_age"])), lifetimes=before)


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SECONDS:
        raise ValueError("not a max-age")
    return value


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e12:  # noqa: PLR2004
        raise ValueError("not a time")
    return float(value)
