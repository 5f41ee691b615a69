"""(files, policy, previous, now) -> the key set: which keys are pending, published, retiring, gone."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from jwks_server.keys.assign import Assigned, assign
from jwks_server.keys.jwk import PublicKey
from jwks_server.keys.keyset import Key, KeyFile, KeySet, Verdict
from jwks_server.keys.kinds import Use
from jwks_server.keys.policy import Policy


def build(
    files: Iterable[KeyFile],
    policy: Policy,
    previous: KeySet | None = None,
    now: float = 0.0,
    propagation: float = 0.0,
) -> KeySet:
    """Make the set that these files stand for at this moment.

    A file's keys are pending until their ``publish_at``, then published until their ``remove_at``. A published
    key whose file vanished or was replaced is retiring for ``retain`` seconds. A revoked key is none of these.
    Where no key is left, and neither ``allow_empty`` nor a revocation made it so, the previous keys are held.

    Args:
        files: What the key directory holds.
        policy: What the operator decided.
        previous: The last set; what was published in it is what can retire.
        now: In seconds since the epoch.
        propagation: How long the slowest verifier takes to see a new key, beyond ``max_age``, in seconds.
    """
    files = sorted(files, key=lambda file: file.name)
    assigned, verdicts = assign(files, policy)
    before = {key.identity: key for key in previous.keys} if previous else {}
    banned = _banned(assigned, before.values(), policy)
    wanted = [one for one in assigned if one.public.thumbprint not in banned]
    kept = [key for key in before.values() if key.public.thumbprint not in banned]

    declared = [key for one in wanted for key in _keys(one, policy, previous, before)]
    pending = [_pending(key) for key in declared if key.publish_at is not None and now < key.publish_at]
    published = [
        _published(key, now, policy.max_age + propagation)
        for key in declared
        if (key.publish_at is None or key.publish_at <= now) and (key.remove_at is None or now < key.remove_at)
    ]
    current = published + list(
        _retiring(_undeclared(kept, declared, published), policy, now, _refused(files, verdicts))
    )

    revoked_something = len(wanted) < len(assigned) or len(kept) < len(before)
    held = not current and not policy.allow_empty and bool(kept or not revoked_something)
    return KeySet(
        keys=_ordered(kept if held else current),
        pending=_ordered(pending),
        verdicts=verdicts,
        policy=policy,
        next_change=min((end for end in _ends(current, pending) if end > now), default=None),
        held=held,
    )


def _banned(assigned: Iterable[Assigned], before: Iterable[Key], policy: Policy) -> set[str]:
    """Find the thumbprints of the revoked keys: a key is revoked under all its kids when it is under one."""
    if not policy.revoked:
        return set()
    named = [(one.public.thumbprint, one.kids) for one in assigned]
    named += [(key.public.thumbprint, (key.kid,)) for key in before]
    return {thumbprint for thumbprint, kids in named if not policy.revoked.isdisjoint({thumbprint, *kids})}


def _keys(
    one: Assigned, policy: Policy, previous: KeySet | None, before: Mapping[tuple[str, str], Key]
) -> Iterator[Key]:
    """Write out a key under each of its kids; one that was there before is taken over, with its times."""
    said = policy.of(one.file)
    comparable = previous is not None and previous.policy.x5c == policy.x5c
    for kid in one.kids:
        last = before.get((kid, one.public.thumbprint))
        if last and comparable and (last.public, last.alg, last.use) == (one.public, one.alg, said.use):
            body = last.json
            if (last.file, last.publish_at, last.remove_at) == (one.file, said.publish_at, said.remove_at):
                yield last
                continue
        else:
            body = to_json(kid, one.alg, said.use, one.public, x5c=policy.x5c)
        yield Key(
            kid=kid,
            alg=one.alg,
            use=said.use,
            file=one.file,
            public=one.public,
            json=body,
            first_published=last.first_published if last else None,
            publish_at=said.publish_at,
            remove_at=said.remove_at,
        )


def to_json(kid: str, alg: str, use: Use, public: PublicKey, *, x5c: bool) -> bytes:
    """Write a JWK as compact UTF-8 JSON, its members in a fixed order (RFC 7517 section 4)."""
    members: dict[str, str | list[str]] = {"kty": public.kind.kty, "kid": kid, "use": use, "alg": alg, **public.members}
    if x5c:
        members |= public.x5
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _pending(key: Key) -> Key:
    return replace(key, state="pending", first_published=None, safe_to_sign_at=None, retiring_since=None)


def _published(key: Key, now: float, visible_after: float) -> Key:
    first = now if key.first_published is None else key.first_published
    times = (first, first + visible_after, key.remove_at)
    if key.state == "published" and (key.first_published, key.safe_to_sign_at, key.retires_at) == times:
        return key
    return replace(
        key,
        state="published",
        first_published=first,
        safe_to_sign_at=first + visible_after,
        retiring_since=None,
        retires_at=key.remove_at,
    )


def _undeclared(kept: Iterable[Key], declared: Iterable[Key], published: Iterable[Key]) -> list[Key]:
    """Find what was published and neither a file nor the policy names any more; a new key's kid is its own."""
    identities = {key.identity for key in declared}
    kids = {key.kid for key in published}
    return [key for key in kept if key.identity not in identities and key.kid not in kids]


def _retiring(undeclared: Iterable[Key], policy: Policy, now: float, refused: set[str]) -> Iterator[Key]:
    """Keep what was published for a while, so that tokens already signed still verify.

    A key that the policy refuses while its file is there leaves at once: that was decided, not overlooked.
    """
    for key in undeclared:
        since = now if key.retiring_since is None else key.retiring_since
        remove_at = policy.of(key.file).remove_at
        end = since + policy.retain if remove_at is None else min(since + policy.retain, remove_at)
        if now < end and key.public.thumbprint not in refused:
            yield replace(key, state="retiring", retiring_since=since, retires_at=end)


def _refused(files: Iterable[KeyFile], verdicts: Iterable[Verdict]) -> set[str]:
    names = {verdict.file for verdict in verdicts if verdict.error}
    return {key.thumbprint for file in files if file.name in names for key in file.keys}


def _ends(current: Iterable[Key], pending: Iterable[Key]) -> Iterator[float]:
    yield from (key.retires_at for key in current if key.retires_at is not None)
    yield from (key.publish_at for key in pending if key.publish_at is not None)


def _ordered(keys: Iterable[Key]) -> tuple[Key, ...]:
    return tuple(sorted(keys, key=lambda key: (key.public.kind.rank, key.file, key.kid)))
