"""Observation, last evaluation, time -> what becomes of each file and key. The one place where that is decided."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from jwks_server.errors import JwksError, NoKeys, SourceError
from jwks_server.keys import policy_text
from jwks_server.keys.decide import decided
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.grace import Believed, believe
from jwks_server.keys.keyset import KeyFile
from jwks_server.keys.merge import changed
from jwks_server.keys.observation import Observation
from jwks_server.keys.verdict import StandIn

# How long a folder must be quiet until a name that vanished is gone: some writers delete files before they create them
# again.
GONE_SECONDS = 0.25
# How long a file must be quiet until the keys that it does not hold any more are gone: it may be written in parts.
REWRITTEN_SECONDS = 1.0
_IGNORED_SHOWN = 5


def evaluate(  # noqa: PLR0913 - all that decides about an issuer
    seen: Observation | SourceError | None,
    previous: Evaluation,
    now: float,
    rules: Rules,
    *,
    place: str,
    alone: bool,
) -> Evaluation:
    """Decide what an issuer publishes, and what becomes of each of its files and keys.

    It returns the last evaluation itself if nothing has changed.

    ``serve`` calls it for each change and whenever ``due`` has come; the commands call it once, with
    ``Evaluation(keyset)`` of the state file as the previous evaluation.

    Args:
        seen: What the issuer's folder holds, or what is wrong with it; None if it was not observed.
        previous: The last evaluation, or ``Evaluation()``.
        now: In seconds since the epoch.
        rules: What the operator decided at the start.
        place: The folder's path, for messages.
        alone: Whether this is the only issuer; it then stays one even if its folder holds nothing.
    """
    if isinstance(seen, Observation) and _nothing_new(seen, previous, now):
        return previous
    current = replace(previous, withdrawn=(), look_at=math.inf)  # a grace period shows only in an observation
    if isinstance(seen, SourceError):
        current = replace(current, wrong=seen)
    elif seen is not None:
        current = _observed(seen, current, now, rules)
        if _is_gone(seen, current, now, alone=alone):
            return replace(current, keyset=None, serves=False, verdicts=(), faults={}, findings=(), gone=True)
    policy = current.policy_text.policy
    if current.files is not None and policy is not None and (now >= current.build_at or _differ(previous, current)):
        current = decided(previous, current, policy, now, rules)
    return replace(current, faults=_faults(current, place))


def _nothing_new(seen: Observation, previous: Evaluation, now: float) -> bool:
    """Report whether an observation can change nothing: most are so, and with many issuers their cost counts."""
    return (
        bool(seen.files)
        and now < previous.build_at
        and previous.look_at == math.inf
        and previous.wrong is None
        and previous.files == seen.files
        and previous.policy_text.text == (seen.policy or b"")
    )


def _observed(seen: Observation, previous: Evaluation, now: float, rules: Rules) -> Evaluation:
    """Take in an observation: the files and the policy that count, which may be older ones for a while."""
    gone_for = 0.0 if seen.whole else GONE_SECONDS
    if not seen.there:
        # An issuer that never gave a set has nothing to wait for.
        since = now if previous.gone_since is None else min(previous.gone_since, now)
        end = since + (0.0 if previous.files is None else gone_for)
        return replace(previous, gone_since=since, look_at=end)
    changed_at = previous.changed_at
    other = None if previous.seen is None else changed(previous.seen, seen.files)
    if other is not None and (seen.unsettled or not _same(previous.seen or {}, seen.files, other)):
        changed_at = now
    believed = believe(
        seen.files,
        previous.last_good,
        now,
        bad_for=rules.grace,
        gone_for=gone_for,
        changed_at=min(changed_at, now),
        among=None if other is None else other | previous.stand_ins.keys(),
    )
    text = policy_text.update(
        seen.policy,
        previous.policy_text,
        believed.items,
        rules.defaults,
        now,
        rules.grace,
    )
    stand_ins = {
        name: StandIn(until, seen.files[name].error if name in seen.files else None)
        for name, until in believed.stand_ins.items()
    }
    ends = [*believed.stand_ins.values(), *(() if text.until is None else (text.until,))]
    return replace(
        previous,
        files=believed.items,
        last_good=believed.last_good,
        stand_ins=stand_ins,
        policy_text=text,
        wrong=text.fault,
        ignored=seen.ignored,
        gone_since=None,
        look_at=min(ends, default=math.inf),
        seen=seen.files,
        changed_at=changed_at,
        changing={} if seen.whole else _changing(previous, believed, now),
    )


def _same(one: Mapping[str, KeyFile], other: Mapping[str, KeyFile], names: Iterable[str]) -> bool:
    """Report whether files are the same in two observations. A good file with other bytes is another object."""
    pairs = ((one.get(name), other.get(name)) for name in names)
    return all(file is not None and not file.good and file == another for file, another in pairs)


def _changing(previous: Evaluation, believed: Believed[KeyFile], now: float) -> Mapping[str, float]:
    """Return until when each file that is being written counts as such."""
    before = previous.files or {}
    rewritten = changed(before, believed.items) & before.keys()
    changing: dict[str, float] = {}
    for name in {*rewritten, *believed.stand_ins, *previous.changing} & believed.items.keys():
        if name in believed.stand_ins:
            changing[name] = believed.stand_ins[name]
        elif name in rewritten and believed.items[name].good:
            changing[name] = now + REWRITTEN_SECONDS
        elif now < (until := previous.changing.get(name, now)):
            changing[name] = until
    return changing


def _is_gone(seen: Observation, current: Evaluation, now: float, *, alone: bool) -> bool:
    """Report whether the issuer does not exist any more; a folder that vanished has a grace period like a file.

    A folder that is there and empty is not an issuer, unless it publishes a set, published one before a restart, or is
    alone: no published set is lost because its folder was emptied.
    """
    if not seen.there:
        return now >= current.look_at
    published_before = current.keyset is not None and bool(current.keyset.keys)
    return seen.empty and not current.files and not (current.serves or alone or published_before)


def _differ(previous: Evaluation, current: Evaluation) -> bool:
    """Report whether there is something new to decide."""
    before = previous.files, previous.stand_ins, previous.policy_text.policy
    return before != (current.files, current.stand_ins, current.policy_text.policy)


def _faults(current: Evaluation, place: str) -> dict[str, JwksError]:
    wrong = current.wrong or (policy_text.collision(current.collisions) if current.collisions else None)
    faults: dict[str, JwksError] = {wrong.code: wrong} if wrong else {}
    if current.decided_at is not None and current.keyset is not None and current.keyset.held:
        faults[NoKeys.code] = NoKeys(
            f"No file in {place} whose name matches --pattern gives a key{_ignored(current)}, and a set without keys "
            "would lock every user out; put a key there, or start with --allow-empty."
        )
    return faults


def _ignored(current: Evaluation) -> str:
    """Name the files that another --pattern would read."""
    names = current.ignored[:_IGNORED_SHOWN]
    more = len(current.ignored) - len(names)
    return f" (ignored: {', '.join(names)}{f' and {more} more' if more else ''})" if names else ""
