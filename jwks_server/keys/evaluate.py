"""Observation, last evaluation, time -> what becomes of each file and key. The one place where that is decided."""

import math
from dataclasses import replace

from jwks_server.errors import JwksError, NoKeys, SourceError
from jwks_server.keys import policy_text
from jwks_server.keys.assign import assign
from jwks_server.keys.build import build
from jwks_server.keys.evaluation import Evaluation, Rules
from jwks_server.keys.grace import believe
from jwks_server.keys.observation import Observation
from jwks_server.keys.policy import Policy
from jwks_server.keys.unmatched import existing, matched
from jwks_server.keys.verdict import StandIn, verdicts

# The grace period of a name that vanished: some writers delete a file before they create it again.
GONE_SECONDS = 0.06
# A set is looked over again after this time: certificates come near their end without any other change.
LINT_SECONDS = 3600


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
        current = _decided(current, policy, now, rules)
    return replace(current, faults=_faults(current, place))


def _nothing_new(seen: Observation, previous: Evaluation, now: float) -> bool:
    """Tell whether an observation can change nothing: most are so, and with many issuers their cost counts."""
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
    believed = believe(seen.files, previous.last_good, now, bad_for=rules.grace, gone_for=gone_for)
    text = policy_text.update(
        seen.policy, previous.policy_text, rules.defaults, now, bad_for=rules.grace, gone_for=gone_for
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
        gone_since=None,
        look_at=min(ends, default=math.inf),
    )


def _is_gone(seen: Observation, current: Evaluation, now: float, *, alone: bool) -> bool:
    """Tell whether the issuer does not exist any more; a folder that vanished has a grace period like a file.

    A folder that is there and empty is not an issuer, unless it publishes a set, published one before a restart, or is
    alone: no published set is lost because its folder was emptied.
    """
    if not seen.there:
        return now >= current.look_at
    published_before = current.keyset is not None and bool(current.keyset.keys)
    return seen.empty and not current.files and not (current.serves or alone or published_before)


def _differ(previous: Evaluation, current: Evaluation) -> bool:
    """Tell whether there is something new to decide."""
    before = previous.files, previous.stand_ins, previous.policy_text.policy
    return before != (current.files, current.stand_ins, current.policy_text.policy)


def _decided(current: Evaluation, policy: Policy, now: float, rules: Rules) -> Evaluation:
    """Build the set, and judge each file and key by it."""
    files = sorted((current.files or {}).values(), key=lambda file: file.name)
    assignment = assign(files, policy)
    refused_keys = {key.thumbprint for file in files if file.name in assignment.refused for key in file.keys}
    built = build(assignment, refused_keys, policy, current.keyset, now, rules.propagation)
    keyset = built.keyset
    if keyset == current.keyset:
        keyset = current.keyset  # the same object, so that nothing is published again
    # Without a published set, and without one from before a restart, there is nothing to hold.
    serves = current.serves or bool(keyset.keys) or not keyset.held
    exist = existing(files, assignment, current.keyset.keys if current.keyset else (), policy)
    names, unmatched = matched(policy, exist, current.names)
    changes_at = keyset.max_age_until(now)
    return replace(
        current,
        keyset=keyset,
        serves=serves,
        verdicts=verdicts(assignment, keyset, built.revoked, current.stand_ins, serves=serves),
        withdrawn=built.withdrawn,
        unmatched=unmatched,
        exist=exist,
        names=names,
        decided_at=now,
        build_at=min(now + LINT_SECONDS, math.inf if changes_at is None else changes_at),
    )


def _faults(current: Evaluation, place: str) -> dict[str, JwksError]:
    faults: dict[str, JwksError] = {current.wrong.code: current.wrong} if current.wrong else {}
    if current.decided_at is not None and current.keyset is not None and current.keyset.held:
        faults[NoKeys.code] = NoKeys(
            f"No file in {place} gives a key, and a set without keys would lock every user out; "
            "put a key there, or start with --allow-empty."
        )
    return faults
