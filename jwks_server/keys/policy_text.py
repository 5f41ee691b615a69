"""``jwks.toml`` over time: what it tightens is in force at once, what it loosens when the file has been quiet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.assign import Collision, assign
from jwks_server.keys.keyset import KeyFile
from jwks_server.keys.policy import Policy, parse
from jwks_server.keys.table import FILE_NAME
from jwks_server.keys.tighten import loosens, tightened


@dataclass(frozen=True, slots=True)
class PolicyText:
    """What is known of the file. Times are in seconds since the epoch.

    Attributes:
        policy: The policy that is in force; None if there never was a good one.
        fault: What is wrong with the file now.
        until: When what the file loosens comes into force; None if nothing waits.
        text: The text that was parsed last; None if the file could not be read.
        said: What that text says; None if it is wrong.
        since: Since when the file has had that text.
        error: What is wrong with that text.
    """

    policy: Policy | None = None
    fault: PolicyInvalid | None = None
    until: float | None = None
    text: bytes | None = None
    said: Policy | None = None
    since: float = 0.0
    error: PolicyInvalid | None = None


def update(  # noqa: PLR0913, PLR0917 - all that decides which policy is in force
    read: bytes | PolicyInvalid | None,
    previous: PolicyText,
    files: Mapping[str, KeyFile],
    defaults: Policy,
    now: float,
    grace: float,
) -> PolicyText:
    """Take in what was read of the file.

    A policy that was there and can't be read, or is wrong, stays in force. One that was deleted or emptied stays in
    force for the grace period: the file may be about to be written.

    Args:
        read: The file's text, or why it can't be read; None if there is no file.
        previous: What was known before.
        files: The key files by name.
        defaults: What holds where the file says nothing, or does not exist.
        now: The time of the observation, in seconds since the epoch.
        grace: How long the file must have been unchanged before it may loosen anything, in seconds.
    """
    if isinstance(read, PolicyInvalid):
        return PolicyText(previous.policy, fault=read)
    text = _parsed(read or b"", previous, defaults, now)
    before, said = text.policy, text.said
    if said is None:
        return replace(text, fault=text.error, until=None)
    silent = not (text.text or b"").strip()
    if before is None and silent and previous.fault and now < text.since + grace:
        # What could not be read until now may have revoked a key, and is about to be written.
        return replace(text, fault=previous.fault, until=text.since + grace)
    if before is None or said == before:
        return replace(text, policy=said, fault=None, until=None)
    ordered = [files[name] for name in sorted(files)]
    assignment = assign(ordered, said)
    last = assign(ordered, before)
    new = assignment.collisions - last.collisions
    fault = collision(new) if new else None
    waits = silent or loosens(before, said, defaults) or not last.revoked <= assignment.revoked
    until = text.since + grace if waits else now
    if fault is None and now >= until:
        return replace(text, policy=said, fault=None, until=None)
    tight = tightened(before, said, assignment.revoked)
    return replace(text, policy=tight, fault=fault, until=None if fault else until)


def _parsed(read: bytes, previous: PolicyText, defaults: Policy, now: float) -> PolicyText:
    if read == previous.text:
        # A clock that was set back starts the grace period again, so that it never lasts longer than it should.
        return replace(previous, since=min(previous.since, now))
    try:
        return PolicyText(previous.policy, text=read, said=parse(read, defaults), since=now)
    except PolicyInvalid as error:
        return PolicyText(previous.policy, text=read, error=error)


def collision(found: Iterable[Collision]) -> PolicyInvalid:
    """Make the error for kids that belong to other keys."""
    told = ", ".join(
        f'[keys."{one.file}"] gives the kid {one.kid}, which is a key\'s in {one.owner}' for one in sorted(found)
    )
    return PolicyInvalid(f"{FILE_NAME}: {told}; a kid belongs to one key, so choose another.")
