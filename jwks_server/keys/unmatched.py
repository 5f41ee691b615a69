"""``jwks.toml`` and all names there are -> the entries that stand for nothing, such as a mistyped kid."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from jwks_server.errors import KidInvalid
from jwks_server.keys.jwk import filename_kid
from jwks_server.keys.keyset import Key, KeyFile
from jwks_server.keys.policy import Policy
from jwks_server.keys.verdict import Verdict

# A comparison with every name takes time: more suggestions, among more names, would hold up other threads.
MAX_SUGGESTIONS = 10
_MAX_CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class Names:
    """Names of keys, which ``revoked`` can hold, and of files, which ``[keys."..."]`` can."""

    keys: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


def named(policy: Policy) -> Names:
    """Return the names that the policy uses for something that must exist."""
    return Names(policy.revoked, frozenset(policy.files))


def existing(files: Mapping[str, KeyFile], judged: Iterable[Verdict], before: Iterable[Key], policy: Policy) -> Names:
    """Collect the names of everything that is there, and of the keys of the last set.

    Args:
        files: The key files by name.
        judged: What became of them.
        before: The keys of the last set.
        policy: What the operator decided.
    """
    keys = {key.thumbprint for file in files.values() for key in file.keys}
    here = set(files)
    for verdict in judged:
        here.add(verdict.file)
        keys.update(verdict.kids, verdict.thumbprints)
        if verdict.outcome == "refused":
            keys |= _kids_of_refused(verdict.file, policy)
            keys |= {key.kid for key in files[verdict.file].keys if key.kid is not None}
    for key in before:
        keys |= {key.kid, key.public.thumbprint}
        here.add(key.file)
    return Names(frozenset(keys), frozenset(here))


def _kids_of_refused(file: str, policy: Policy) -> set[str]:
    """Name the kids that the keys of a refused file would have, as far as that is known."""
    said = policy.of(file)
    kids = {*said.aliases, *((said.kid,) if said.kid else ())}
    if policy.kid == "filename":
        try:
            kids.add(filename_kid(file))
        except KidInvalid:
            return kids
    return kids


def matched(policy: Policy, exist: Names, once: Names) -> tuple[Names, Names]:
    """Split the policy's names.

    Args:
        policy: What the operator decided.
        exist: The names of what is there.
        once: The names that stood for something earlier; deleting a revoked key's file is no mistake.

    Returns:
        Those that stand for something that is or was there, and those that stand for nothing.
    """
    all_names = named(policy)
    keys, files = all_names.keys & (exist.keys | once.keys), all_names.files & (exist.files | once.files)
    return Names(keys, files), Names(all_names.keys - keys, all_names.files - files)


def nearest(name: str, candidates: Collection[str]) -> str | None:
    """Find the name that was probably meant; None if no name is near."""
    considered = sorted(candidates)[:_MAX_CANDIDATES]
    spellings = {one.casefold(): one for one in considered}
    found = [spellings[name.casefold()]] if name.casefold() in spellings else []
    found += difflib.get_close_matches(name, considered, n=1)
    found += [one for one in considered if one.rpartition(".")[0] == name]  # without its extension
    return found[0] if found else None
