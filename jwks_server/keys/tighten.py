"""Two policies, one after the other -> what the later one loosens, and what it tightens."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from jwks_server.keys.policy import KeyPolicy, Policy

# What a later policy may take back at once: these are compared by what they mean, or they only tighten.
_COMPARED = {"allow", "revoked", "files"}
_SET = tuple(name for name in Policy.__dataclass_fields__ if name not in _COMPARED)
_FILE = tuple(KeyPolicy.__dataclass_fields__)
_NOTHING_SAID = KeyPolicy()


def loosens(before: Policy, after: Policy, defaults: Policy) -> bool:
    """Report whether a policy says less than the one before it, as a file does that is only half written.

    It says less if it revokes less, allows more, lets a key in earlier or out later, or no longer sets what was set.

    Args:
        before: The policy that is in force.
        after: The policy that is to follow.
        defaults: What holds where neither says anything.
    """
    return (
        not before.revoked <= after.revoked
        or not after.allow <= before.allow
        or after.retain < before.retain
        or (after.allow_empty and not before.allow_empty)
        or _unsaid(before, after, defaults, _SET)
        or any(_file_loosens(said, after.of(name)) for name, said in before.files.items())
    )


def _file_loosens(before: KeyPolicy, after: KeyPolicy) -> bool:
    return (
        _unsaid(before, after, _NOTHING_SAID, _FILE)
        or not set(before.aliases) <= {*after.aliases, after.kid}
        or _earlier(after.publish_at, before.publish_at)
        or _earlier(before.remove_at, after.remove_at)
    )


def _unsaid(before: object, after: object, defaults: object, names: Iterable[str]) -> bool:
    return any(getattr(before, name) != getattr(after, name) == getattr(defaults, name) for name in names)


def _earlier(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other


def tightened(before: Policy, after: Policy, revoked: frozenset[str]) -> Policy:
    """Return the policy before, with what the policy after it tightens.

    Args:
        before: The policy that is in force.
        after: The policy that is to follow.
        revoked: The thumbprints of the keys that the policy after it revokes by the kids that it gives them.
    """
    files: Mapping[str, KeyPolicy] = {
        name: _file_tightened(before.of(name), after.of(name)) for name in {**before.files, **after.files}
    }
    return replace(
        before,
        revoked=before.revoked | after.revoked | revoked,
        allow=before.allow & after.allow,
        files=MappingProxyType(files),
    )


def _file_tightened(before: KeyPolicy, after: KeyPolicy) -> KeyPolicy:
    return replace(
        before,
        publish_at=max((at for at in (before.publish_at, after.publish_at) if at is not None), default=None),
        remove_at=min((at for at in (before.remove_at, after.remove_at) if at is not None), default=None),
    )
