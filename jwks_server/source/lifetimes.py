"""The max-ages in the state file: caches may hold a set for as long as it was served with, over a restart too."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jwks_server.keys.keyset import KeySet, Lifetime
from jwks_server.keys.policy import MAX_SECONDS, Policy


def written(keysets: Mapping[str, KeySet]) -> str:
    """Write what was served for how long, as JSON: by the issuer's path, the current max-age and the longer ones."""
    return json.dumps(
        {
            path: {
                "max_age": keyset.policy.max_age,
                "before": [[one.max_age, one.served_until] for one in keyset.lifetimes],
            }
            for path, keyset in keysets.items()
        }
    )


def with_lifetimes(keysets: Mapping[str, KeySet], document: Mapping[str, Any]) -> dict[str, KeySet]:
    """Add what ``written`` wrote to the sets; a state file of an earlier version has nothing of it.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: The file is damaged.
    """
    found = document.get("max_ages", {})
    return {path: _with_lifetimes(keyset, found.get(path)) for path, keyset in keysets.items()}


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
