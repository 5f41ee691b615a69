"""``jwks.toml`` over time: the policy that holds is the last good one while the file is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.grace import LastGood, believe
from jwks_server.keys.policy import Policy, parse


@dataclass(frozen=True, slots=True)
class Text:
    """What the file said. An empty file may be about to be written, so it has a grace period like a bad one."""

    text: bytes

    @property
    def good(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class PolicyText:
    """What is known of the file.

    Attributes:
        policy: The policy that holds; None if there never was a good one.
        fault: What is wrong with the file now.
        until: When the file's grace period ends; None outside of one.
        text: The text that was parsed last.
        error: What is wrong with that text.
        last_good: The last text that was not empty.
    """

    policy: Policy | None = None
    fault: PolicyInvalid | None = None
    until: float | None = None
    text: bytes | None = None
    error: PolicyInvalid | None = None
    last_good: Mapping[str, LastGood[Text]] = field(default_factory=lambda: MappingProxyType({}))


def update(  # noqa: PLR0913 - the two grace periods are one rule
    said: bytes | PolicyInvalid | None,
    previous: PolicyText,
    defaults: Policy,
    now: float,
    *,
    bad_for: float,
    gone_for: float,
) -> PolicyText:
    """Take in what was read of the file.

    Args:
        said: The file's text, or why it can't be read; None if there is no file.
        previous: What was known before.
        defaults: What holds where the file says nothing, or does not exist.
        now: The time of the observation, in seconds since the epoch.
        bad_for: The grace period of an empty file, in seconds.
        gone_for: The grace period of a missing file, in seconds.
    """
    if isinstance(said, PolicyInvalid):
        return replace(previous, fault=said, until=None)
    seen = {} if said is None else {"": Text(said)}
    believed = believe(seen, previous.last_good, now, bad_for=bad_for, gone_for=gone_for)
    text = believed.items[""].text if believed.items else b""
    policy, error = previous.policy, previous.error
    if text != previous.text:
        try:
            policy, error = parse(text, defaults), None
        except PolicyInvalid as exc:
            error = exc
    return PolicyText(policy, error, believed.stand_ins.get(""), text, error, believed.last_good)
