"""Assigned keys, policy, last set, time -> the key set: which keys are pending, published, retiring, gone."""

import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from jwks_server.keys.assign import Assigned, Assignment
from jwks_server.keys.jwk import to_json
from jwks_server.keys.keyset import Key, KeySet, Lifetime
from jwks_server.keys.merge import merged
from jwks_server.keys.policy import Policy
from jwks_server.keys.writing import QUIET, Missing, Writing


@dataclass(frozen=True, slots=True)
class Built:
    """A key set, and what became of the keys of the last one that are not in it.

    Attributes:
        keyset: The set.
        revoked: Those that are revoked.
        withdrawn: Those that left for any other reason but their ``remove_at``; ``retires_at`` says when they
            stopped retiring.
        missing: The keys that no file gives now, and that stay because their file is being written.
        skewed: The thumbprints of the keys whose first publication was said to be in the future.
    """

    keyset: KeySet
    revoked: tuple[Key, ...] = ()
    withdrawn: tuple[Key, ...] = ()
    missing: Mapping[tuple[str, str], Missing] = field(default_factory=lambda: MappingProxyType({}))
    skewed: frozenset[str] = frozenset()


def build(  # noqa: PLR0913, PLR0917 - all that decides about a set
    assignment: Assignment,
    refused_keys: AbstractSet[str],
    policy: Policy,
    previous: KeySet | None = None,
    now: float = 0.0,
    propagation: float = 0.0,
    writing: Writing = QUIET,
    *,
    others: bool = False,
) -> Built:
    """Make the set that the files stand for at this moment.

    A file's keys are pending until their ``publish_at``, then published until their ``remove_at``. A published
    key whose file vanished or was replaced is retiring for ``retain`` seconds. A revoked key is none of these.
    If no key is left, and neither ``allow_empty`` nor a revocation made it so, the keys of the last set are held.

    Args:
        assignment: What the files give.
        refused_keys: The thumbprints of the keys in refused files.
        policy: What the operator decided.
        previous: The last set; only a key that was published in it can retire.
        now: In seconds since the epoch.
        propagation: How long the slowest verifier takes to see a new key, beyond ``max_age``, in seconds.
        writing: What is being written now.
        others: Whether the set has other keys, which this change doesn't concern.
    """
    before = {key.identity: key for key in previous.keys} if previous else {}
    once_revoked = _once_revoked(previous, policy)
    banned = assignment.revoked | {thumbprint for _, thumbprint in once_revoked}
    wanted = [one for one in assignment.keys if one.public.thumbprint not in banned]
    revoked = tuple(key for key in before.values() if key.public.thumbprint in banned)
    kept = [key for key in before.values() if key.public.thumbprint not in banned]

    declared = [key for one in wanted for key in _keys(one, policy, previous, before)]
    pending = [_pending(key) for key in declared if key.publish_at is not None and now < key.publish_at]
    lifetimes = _lifetimes(previous, policy.max_age, now, propagation)
    published = [
        _published(key, now, lifetimes, propagation)
        for key in declared
        if (key.publish_at is None or key.publish_at <= now) and (key.remove_at is None or now < key.remove_at)
    ]
    given = {one.public.thumbprint for one in wanted}
    undeclared = _undeclared(kept, declared, published)
    missing = {
        key.identity: found
        for key in undeclared
        if key.public.thumbprint not in given
        and now < (found := writing.of(key, now)).until
        and _may_stay(key, policy, now, refused_keys)
    }
    waiting = [key for key in undeclared if key.identity in missing and policy.retain == 0]
    retiring, withdrawn = _retiring([key for key in undeclared if key not in waiting], policy, now, refused_keys)
    current = published + waiting + retiring

    revoked_something = bool(revoked) or len(wanted) < len(assignment.keys)
    held = not (current or others or policy.allow_empty) and bool(kept or not revoked_something)
    keys = kept if held else current
    if held:  # a key that stays in the set isn't pending, even if its publish_at was moved into the future
        staying = {key.identity for key in kept}
        awaited = [key for key in pending if key.identity not in staying]
    else:
        awaited = pending
    keyset = KeySet(
        keys=merged((), keys, _order),
        pending=merged((), awaited, _order),
        policy=policy,
        next_change=min((end for end in _ends(current, pending) if end > now), default=None),
        held=held,
        lifetimes=lifetimes[1:],
        revoked=once_revoked,
    )
    missing = {} if held else {key.identity: missing[key.identity] for key in waiting}
    skewed = frozenset(key.public.thumbprint for key in before.values() if _is_future(key.first_published, now))
    return Built(keyset, revoked, () if held else tuple(withdrawn), missing, skewed)


def _lifetimes(previous: KeySet | None, max_age: int, now: float, propagation: float) -> tuple[Lifetime, ...]:
    """Return the max-age that is served from now on, and the longer ones that caches may still hold a set for."""
    current = Lifetime(max_age, math.inf)
    if previous is None:
        return (current,)
    last = (Lifetime(previous.policy.max_age, now), *previous.lifetimes)
    return (current, *(one for one in last if one.max_age > max_age and _ends_at(one) + propagation > now))


def _ends_at(lifetime: Lifetime) -> float:
    return lifetime.served_until + lifetime.max_age


def _is_future(first_published: float | None, now: float) -> bool:
    return first_published is not None and not first_published <= now


def _may_stay(key: Key, policy: Policy, now: float, refused_keys: AbstractSet[str]) -> bool:
    """Report whether the policy lets a key stay that no file gives any more: what it tightens holds at once."""
    remove_at = policy.of(key.file).remove_at
    return (
        (remove_at is None or now < remove_at)
        and key.public.thumbprint not in refused_keys
        and policy.allows(key.public.kind)
    )


def _once_revoked(previous: KeySet | None, policy: Policy) -> frozenset[tuple[str, str]]:
    """Find the revoked keys of earlier sets: one kid revokes the key under all its kids, later ones included."""
    if previous is None or not policy.revoked:
        return frozenset()
    identities = previous.revoked.union(key.identity for key in previous.keys)
    return frozenset(identity for identity in identities if not policy.revoked.isdisjoint(identity))


def _keys(
    one: Assigned, policy: Policy, previous: KeySet | None, before: Mapping[tuple[str, str], Key]
) -> Iterator[Key]:
    """Write out a key under each of its kids; a key of the last set is taken over, with its times."""
    said = policy.of(one.file)
    comparable = previous is not None and previous.policy.x5c == policy.x5c
    for kid in one.kids:
        last = before.get((kid, one.public.thumbprint))
        if last and comparable and (last.public, last.alg, last.use) == (one.public, one.alg, one.use):
            body = last.json
            if (last.file, last.publish_at, last.remove_at) == (one.file, said.publish_at, said.remove_at):
                yield last
                continue
        else:
            body = to_json(kid, one.alg, one.use, one.public, x5c=policy.x5c)
        yield Key(
            kid=kid,
            alg=one.alg,
            use=one.use,
            file=one.file,
            public=one.public,
            json=body,
            # Under another alg or use it is a new key to those who know it.
            first_published=last.first_published if last and (last.alg, last.use) == (one.alg, one.use) else None,
            publish_at=said.publish_at,
            remove_at=said.remove_at,
        )


def _pending(key: Key) -> Key:
    return replace(key, state="pending", first_published=None, safe_to_sign_at=None, retiring_since=None)


def _published(key: Key, now: float, lifetimes: Iterable[Lifetime], propagation: float) -> Key:
    first = now if key.first_published is None or _is_future(key.first_published, now) else key.first_published
    # A cache may hold a set without the key from just before the key was in it.
    seen = max(min(first, lifetime.served_until) + lifetime.max_age for lifetime in lifetimes)
    times = (first, seen + propagation, key.remove_at)
    if key.state == "published" and (key.first_published, key.safe_to_sign_at, key.retires_at) == times:
        return key
    return replace(
        key,
        state="published",
        first_published=first,
        safe_to_sign_at=seen + propagation,
        retiring_since=None,
        retires_at=key.remove_at,
    )


def _undeclared(kept: Iterable[Key], declared: Iterable[Key], published: Iterable[Key]) -> list[Key]:
    """Find the keys of the last set that no file gives any more; a kid that a new key has taken is the new key's."""
    identities = {key.identity for key in declared}
    kids = {key.kid for key in published}
    return [key for key in kept if key.identity not in identities and key.kid not in kids]


def _retiring(
    undeclared: Iterable[Key], policy: Policy, now: float, refused_keys: AbstractSet[str]
) -> tuple[list[Key], list[Key]]:
    """Keep what was published for a while, so that tokens that are already signed still verify.

    A key that the policy refuses while its file is there leaves at once: that was decided, not overlooked.

    Returns:
        The keys that are retiring, and those that leave.
    """
    retiring: list[Key] = []
    withdrawn: list[Key] = []
    for key in undeclared:
        since = now if key.retiring_since is None else min(key.retiring_since, now)
        remove_at = policy.of(key.file).remove_at
        end = since + policy.retain if remove_at is None else min(since + policy.retain, remove_at)
        if now < end and _may_stay(key, policy, now, refused_keys):
            retiring.append(replace(key, state="retiring", retiring_since=since, retires_at=end))
        else:
            withdrawn.append(replace(key, retires_at=None if key.retiring_since is None else end))
    return retiring, withdrawn


def _ends(current: Iterable[Key], pending: Iterable[Key]) -> Iterator[float]:
    yield from (key.retires_at for key in current if key.retires_at is not None)
    yield from (key.publish_at for key in pending if key.publish_at is not None)


def with_others(built: KeySet, others: KeySet, now: float) -> KeySet:
    """Add the keys that a change doesn't concern to the set that was built of the rest.

    Args:
        built: That set; it is not held.
        others: The keys that stay as they are, of which there is at least one.
        now: In seconds since the epoch.
    """
    keys = merged(others.keys, built.keys, _order)
    pending = merged(others.pending, built.pending, _order)
    next_change = min((end for end in _ends(keys, pending) if end > now), default=None)
    return replace(built, keys=keys, pending=pending, next_change=next_change)


def _order(key: Key) -> tuple[int, str, str]:
    return key.public.kind.rank, key.file, key.kid
