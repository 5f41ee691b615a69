"""What became of each file and key: the one answer that every log line, command and status prints."""

from collections.abc import Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from jwks_server.errors import KeyFileError
from jwks_server.keys.assign import Assigned, Assignment
from jwks_server.keys.instants import utc
from jwks_server.keys.keyset import Key, KeySet
from jwks_server.keys.merge import merged

Outcome = Literal["published", "pending", "retiring", "removed", "revoked", "duplicate", "refused", "kept"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a file, or of some of its keys. A file whose keys have two outcomes has two verdicts.

    Attributes:
        file: The file's name. The file of a retiring or kept key may be gone.
        outcome: ``published``; ``pending`` until its time; ``retiring`` since its file is gone; ``removed`` by its
            ``remove_at``; ``revoked``; ``duplicate`` of a key in another file; ``refused`` for an error; ``kept``
            from the file's last good version, or because the directory gives no key at all.
        kids: The kids of the keys; a duplicate and a refused file have none.
        thumbprints: The keys' thumbprints, one for each kid; for a duplicate, one for each key.
        until: When the outcome ends, in seconds since the epoch; None if that is not known.
        since: When a removed key left the set, in seconds since the epoch.
        duplicate_of: The file that publishes the same key.
        error: What is wrong with the file: always of a refused one, often of a kept one.
    """

    file: str
    outcome: Outcome
    kids: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()
    until: float | None = None
    since: float | None = None
    duplicate_of: str | None = None
    error: KeyFileError | None = None

    @property
    def identities(self) -> tuple[tuple[str, str], ...]:
        """The identity of each key: its kid and its thumbprint."""
        return tuple(zip(self.kids, self.thumbprints, strict=True)) if self.kids else ()


@dataclass(frozen=True, slots=True)
class StandIn:
    """A file's last good version counts until a time, in seconds since the epoch; with the file's error, if any."""

    until: float
    error: KeyFileError | None = None


@dataclass(frozen=True, slots=True)
class _Standing:
    """One key under one kid, and what became of it. Those that differ only in their identity share a verdict."""

    identity: tuple[str, str]
    file: str
    outcome: Outcome
    until: float | None = None
    since: float | None = None
    error: KeyFileError | None = None


def verdicts(  # noqa: PLR0913 - all that is told of a key
    assignment: Assignment,
    keyset: KeySet,
    revoked: Iterable[Key],
    stand_ins: Mapping[str, StandIn],
    missing: Mapping[tuple[str, str], float] = MappingProxyType({}),
    *,
    there: Container[str],
    serves: bool,
    others: Iterable[Verdict] = (),
) -> tuple[Verdict, ...]:
    """Give each file its verdicts: the files that are there by name, then those that are gone.

    Args:
        assignment: What the files give.
        keyset: What was made of it.
        revoked: The keys of earlier sets that are revoked now.
        stand_ins: The files whose last good version counts, by name.
        missing: Until when a key stays that no file gives, since its file is being written, by the key's identity.
        there: The names of all files.
        serves: Whether the key set is published; if not, nothing of it is.
        others: The verdicts on files that a change doesn't concern, in order.
    """
    in_set = {key.identity: key for key in keyset.keys} if serves else {}
    pending = {key.identity: key for key in keyset.pending}
    banned = {thumbprint for _, thumbprint in keyset.revoked} | assignment.revoked
    found = [
        _of_assigned(one, kid, in_set.get((kid, one.public.thumbprint)), pending, keyset, banned, stand_ins)
        for one in assignment.keys
        for kid in one.kids
    ]
    declared = {standing.identity for standing in found}
    found += [
        _of_key(key, keyset, assignment.refused.get(key.file), missing.get(identity))
        for identity, key in in_set.items()
        if identity not in declared
    ]
    found += [_Standing(key.identity, key.file, "revoked") for key in revoked if key.identity not in declared]
    given = [*_grouped(found), *_of_files(assignment)]
    return merged(others, given, lambda one: (one.file not in there, one.file, one.outcome))


def _of_assigned(  # noqa: PLR0913, PLR0917 - all that decides about a key
    one: Assigned,
    kid: str,
    in_set: Key | None,
    pending: Mapping[tuple[str, str], Key],
    keyset: KeySet,
    banned: AbstractSet[str],
    stand_ins: Mapping[str, StandIn],
) -> _Standing:
    identity = (kid, one.public.thumbprint)
    stand_in = stand_ins.get(one.file)
    error = stand_in.error if stand_in else None
    if one.public.thumbprint in banned:
        return _Standing(identity, one.file, "revoked", error=error)
    if in_set is not None and keyset.held:
        return _Standing(identity, one.file, "kept", error=error)
    if in_set is not None and stand_in is not None:
        return _Standing(identity, one.file, "kept", stand_in.until, error=error)
    if in_set is not None:
        return _Standing(identity, one.file, "published", in_set.retires_at)
    if identity in pending:
        return _Standing(identity, one.file, "pending", pending[identity].publish_at, error=error)
    return _Standing(identity, one.file, "removed", since=keyset.policy.of(one.file).remove_at, error=error)


def _of_key(key: Key, keyset: KeySet, error: KeyFileError | None, until: float | None) -> _Standing:
    """Judge a key of the set that no file gives any more."""
    if keyset.held or until is not None:
        return _Standing(key.identity, key.file, "kept", until, error=error)
    return _Standing(key.identity, key.file, "retiring", key.retires_at)


def _grouped(found: Iterable[_Standing]) -> Iterator[Verdict]:
    groups: dict[tuple[str, Outcome, float | None, float | None], list[_Standing]] = {}
    for one in found:
        groups.setdefault((one.file, one.outcome, one.until, one.since), []).append(one)
    for (file, outcome, until, since), members in groups.items():
        kids, thumbprints = zip(*(one.identity for one in members), strict=True)
        yield Verdict(file, outcome, kids, thumbprints, until, since, error=members[0].error)


def _of_files(assignment: Assignment) -> Iterator[Verdict]:
    for file, error in assignment.refused.items():
        yield Verdict(file, "refused", error=error)
    groups: dict[tuple[str, str], list[str]] = {}
    for file, thumbprint, owner in assignment.duplicates:
        groups.setdefault((file, owner), []).append(thumbprint)
    for (file, owner), thumbprints in groups.items():
        yield Verdict(file, "duplicate", thumbprints=tuple(thumbprints), duplicate_of=owner)


def document(verdict: Verdict) -> dict[str, object]:
    """Write a verdict for a JSON document; members that say nothing are left out."""
    error = verdict.error
    members: dict[str, object] = {
        "until": None if verdict.until is None else utc(verdict.until),
        "since": None if verdict.since is None else utc(verdict.since),
        "duplicate_of": verdict.duplicate_of,
        "code": error.code if error else None,
        "reason": error.message if error else None,
    }
    return {
        "file": verdict.file,
        "verdict": verdict.outcome,
        "kids": list(verdict.kids),
        **{name: value for name, value in members.items() if value is not None},
    }
