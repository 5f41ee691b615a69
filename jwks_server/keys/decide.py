"""Files that count, policy, last evaluation, time -> the key set and the verdicts: of all files, or of what changed."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from jwks_server.keys.assign import assign
from jwks_server.keys.build import build, with_others
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.index import Claimed, connected, updated
from jwks_server.keys.keyset import Key, KeySet
from jwks_server.keys.merge import changed
from jwks_server.keys.policy import Policy
from jwks_server.keys.unmatched import Names, existing, matched
from jwks_server.keys.verdict import Verdict, verdicts
from jwks_server.keys.writing import Writing

# A set is looked over again after this time: certificates come near their end without any other change.
LINT_SECONDS = 3600
# With fewer files, deciding about all of them costs no more than finding out which ones matter.
SMALL = 32


def decided(previous: Evaluation, current: Evaluation, policy: Policy, now: float, rules: Rules) -> Evaluation:
    """Build the set, and judge each file and key by it.

    If only files changed, and neither the policy nor the time, these are decided about and those that they can
    influence. The result is the same as if all were decided about.

    Args:
        previous: The last evaluation.
        current: The same, with what counts now.
        policy: What is in force.
        now: In seconds since the epoch.
        rules: What the operator decided at the start.
    """
    there = current.files or {}
    part = _part(previous, current, policy, now)
    last, others = _split(current.keyset, part)
    files = [there[name] for name in sorted(there if part is None else there.keys() & part)]
    assignment = assign(files, policy)
    refused_keys = {key.thumbprint for file in files if file.name in assignment.refused for key in file.keys}
    writing = Writing(current.changing, current.missing, rules.grace)
    built = build(
        assignment, refused_keys, policy, last, now, rules.propagation, writing, others=bool(others and others.keys)
    )
    keyset = with_others(built.keyset, others, now) if others else built.keyset
    if keyset == current.keyset:
        keyset = current.keyset  # the same object, so that nothing is published again
    # Without a published set, and without one from before a restart, there is nothing to hold.
    serves = current.serves or bool(keyset.keys) or not keyset.held
    stays = {identity: missing.until for identity, missing in built.missing.items()}
    banned = assignment.revoked.union(thumbprint for _, thumbprint in keyset.revoked)
    still = [
        key for key in (*current.revoked, *built.revoked) if _concerns(part, key) and key.public.thumbprint in banned
    ]
    still += [key for key in current.revoked if not _concerns(part, key)]
    revoked = tuple(sorted({key.identity: key for key in still}.values(), key=lambda key: (key.file, key.kid)))
    judged = verdicts(
        assignment,
        built.keyset,
        [key for key in revoked if _concerns(part, key)],
        current.stand_ins,
        stays,
        there=there,
        serves=serves,
        others=() if part is None else [one for one in current.verdicts if one.file not in part],
    )
    ends = (keyset.next_change, *stays.values(), now + LINT_SECONDS)
    collisions = () if part is None else (one for one in current.collisions if one.file not in part)
    after = replace(
        current,
        keyset=keyset,
        serves=serves,
        verdicts=judged,
        withdrawn=built.withdrawn,
        decided_at=now,
        build_at=min(end for end in ends if end is not None),
        missing={identity: missing.since for identity, missing in built.missing.items()},
        revoked=revoked,
        collisions=assignment.collisions.union(collisions),
        lapsed=_in_set(current.lapsed.union(_were_revoked(current.verdicts)), keyset),
        skewed=_in_set(current.skewed | built.skewed, keyset),
    )
    after = _named(after, current.keyset.keys if current.keyset else (), policy)
    if len(there) < SMALL or keyset.held:
        return replace(after, index=None)
    index = updated(previous.index, part, _claimed(previous, policy), _claimed(after, policy))
    return replace(after, index=index)


def _part(previous: Evaluation, current: Evaluation, policy: Policy, now: float) -> frozenset[str] | None:
    """Find the names of the files that must be decided about; None for all."""
    keyset, index, before, after = previous.keyset, previous.index, previous.files, current.files
    if index is None or keyset is None or before is None or after is None or previous.decided_at is None:
        return None
    if keyset.lifetimes or not previous.decided_at <= now < previous.build_at or keyset.policy != policy:
        return None
    names = changed(before, after)
    names |= {name for name, _ in previous.stand_ins.items() ^ current.stand_ins.items()}
    if previous.missing:  # how long these stay depends on what is being written now
        names |= {key.file for key in keyset.keys if key.identity in previous.missing}
    claimed = _claimed(previous, policy)
    part = connected(index, names, claimed, replace(claimed, files=after))
    # If no other key is left, it depends on all files whether the last keys are held.
    return part if any(key.file not in part for key in keyset.keys) else None


def _split(keyset: KeySet | None, part: frozenset[str] | None) -> tuple[KeySet | None, KeySet | None]:
    """Split a set into the keys of a part, and the others; None stands for no set."""
    if keyset is None or part is None:
        return keyset, None
    keys, other_keys = _parted(keyset.keys, part)
    pending, other_pending = _parted(keyset.pending, part)
    return replace(keyset, keys=keys, pending=pending), replace(keyset, keys=other_keys, pending=other_pending)


def _parted(keys: tuple[Key, ...], part: frozenset[str]) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    mine = tuple([key for key in keys if key.file in part])
    return mine, tuple([key for key in keys if key.file not in part]) if mine else keys


def _claimed(evaluation: Evaluation, policy: Policy) -> Claimed:
    left: dict[str, list[Key]] = {}
    keys: Sequence[Key] = evaluation.keyset.keys if evaluation.keyset else ()
    missing = evaluation.missing
    ungiven = [key for key in keys if key.state == "retiring" or (missing and key.identity in missing)]
    for key in (*ungiven, *evaluation.revoked):
        left.setdefault(key.file, []).append(key)
    return Claimed(evaluation.files or {}, left, policy)


def _concerns(part: frozenset[str] | None, key: Key) -> bool:
    return part is None or key.file in part


def _were_revoked(judged: Iterable[Verdict]) -> Iterable[str]:
    return (thumbprint for one in judged if one.outcome == "revoked" for thumbprint in one.thumbprints)


def _in_set(thumbprints: frozenset[str], keyset: KeySet) -> frozenset[str]:
    return thumbprints.intersection(key.public.thumbprint for key in keyset.keys) if thumbprints else thumbprints


def _named(after: Evaluation, before: Iterable[Key], policy: Policy) -> Evaluation:
    """Find the names in the policy that stand for nothing; without any, none need be collected."""
    if not policy.revoked and not policy.files:
        return replace(after, unmatched=Names(), exist=Names(), names=Names())
    exist = existing(after.files or {}, after.verdicts, before, policy)
    names, unmatched = matched(policy, exist, after.names)
    return replace(after, unmatched=unmatched, exist=exist, names=names)
