"""Which files can influence each other, so that a change is decided by these alone.

Two files can if they share a thumbprint or a kid that they have, or would have. A key of the set whose file is gone
counts as its file's. Files that share nothing, not even through others, are decided independently.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jwks_server.errors import KidInvalid
from jwks_server.keys.assign import main_kid
from jwks_server.keys.keyset import Key, KeyFile
from jwks_server.keys.policy import Policy


@dataclass(frozen=True, slots=True)
class Index:
    """What was decided about.

    Attributes:
        holders: The names of the files that have, or would have, each thumbprint or kid.
    """

    holders: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """Files and keys at one moment, as far as they claim thumbprints and kids.

    Attributes:
        files: The files by name.
        keys: The keys that no file gives, but that still count, by their file's name.
        policy: What the operator decided.
    """

    files: Mapping[str, KeyFile]
    keys: Mapping[str, Sequence[Key]]
    policy: Policy

    def by(self, name: str) -> set[str]:
        """Return the thumbprints and kids that belong to a file's name."""
        found = {one for key in self.keys.get(name, ()) for one in key.identity}
        return found | _of_file(self.files[name], self.policy) if name in self.files else found


def connected(index: Index, names: Iterable[str], before: Claimed, after: Claimed) -> frozenset[str]:
    """Return the names of the files that can be influenced by a change.

    Args:
        index: What the last decision was about.
        names: The files that changed.
        before: What there was at the last decision.
        after: What there is now.
    """
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        claims = before.by(name) | after.by(name)
        waiting.update(one for claim in claims for one in index.holders.get(claim, ()) if one not in found)
    return frozenset(found)


def updated(index: Index | None, part: frozenset[str] | None, before: Claimed, after: Claimed) -> Index:
    """Return the index of what there is now.

    Args:
        index: That of what there was before; None if there is none.
        part: The names that were decided about; None for all.
        before: What there was before.
        after: What there is now.
    """
    holders: dict[str, tuple[str, ...]] = {}
    if index is None or part is None:
        part = frozenset({*after.files, *after.keys})
    else:
        holders |= index.holders
        for name in part:
            for claim in before.by(name):
                left = tuple(one for one in holders[claim] if one != name)
                if left:
                    holders[claim] = left
                else:
                    del holders[claim]
    for name in part:
        for claim in after.by(name):
            held = holders.get(claim)
            holders[claim] = tuple(sorted((*held, name))) if held else (name,)
    return Index(holders)


def _of_file(file: KeyFile, policy: Policy) -> set[str]:
    said = policy.of(file.name)
    claims = {*said.aliases, *((said.kid,) if said.kid else ())}
    for key in file.keys:
        claims.add(key.thumbprint)
        if not said.kid:
            try:
                claims.add(main_kid(file.name, key, policy))
            except KidInvalid:
                continue  # a key of a refused file has no kid
    return claims
