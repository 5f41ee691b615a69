"""What was decided about an issuer at one moment, and what the next evaluation must know."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from jwks_server.errors import JwksError
from jwks_server.keys.assign import Collision
from jwks_server.keys.grace import LastGood
from jwks_server.keys.index import Index
from jwks_server.keys.keyset import Key, KeyFile, KeySet
from jwks_server.keys.policy import Policy
from jwks_server.keys.policy_text import PolicyText
from jwks_server.keys.unmatched import Names
from jwks_server.keys.verdict import StandIn, Verdict


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided at the start. Times are in seconds.

    Attributes:
        defaults: The policy where ``jwks.toml`` says nothing.
        grace: How long a good file that turned bad keeps its last good version.
        propagation: How long the slowest verifier takes to see a new key, beyond the set's max-age.
    """

    defaults: Policy = field(default_factory=Policy)
    grace: float = 2.0
    propagation: float = 900.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is allowed, but will likely hurt someone: a stable code, its subject, and one sentence."""

    code: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was decided about an issuer. Times are in seconds since the epoch.

    Attributes:
        keyset: The key set; before the first decision, what is remembered from before a restart.
        serves: Whether the key set is published.
        verdicts: What became of each file and key.
        withdrawn: The keys that left the set in this evaluation without a verdict.
        faults: What is wrong, by code.
        findings: What is allowed but will likely hurt someone; filled in by ``lint``.
        unmatched: The names in ``jwks.toml`` that stand for nothing.
        exist: All names of files and keys, of which the operator may have meant one.
        gone: Whether the issuer is gone.
        decided_at: When the set was last built; None if it never was.
        files: The files that the set was built from, by name; None before the first observation.
        names: The names in ``jwks.toml`` that stand for something that is or was there.
        policy_text: What is known of ``jwks.toml``.
        last_good: The last good version of each file.
        stand_ins: The files whose last good version counts.
        wrong: What was wrong with the folder or with ``jwks.toml`` in the last observation.
        ignored: Why files are not key files, by name, as of the last observation.
        gone_since: Since when there is no folder.
        seen: The files as they were last observed, by name.
        changed_at: When an observation of the folder was last another one than the one before.
        changing: Until when each file that is being written counts as such, by name.
        missing: Since when no file gives a key that stays because its file is being written, by the key's identity.
        revoked: The keys of earlier sets that are revoked now.
        collisions: The kids that ``jwks.toml`` gives to a key although they are another key's.
        lapsed: The thumbprints of published keys that were revoked before.
        skewed: The thumbprints of published keys that were first published in the future, says the state.
        build_at: When the set must be built again.
        look_at: When a grace period ends, so that the folder must be observed again.
        index: Which files can influence each other; None if there are few.
    """

    keyset: KeySet | None = None
    serves: bool = False
    verdicts: tuple[Verdict, ...] = ()
    withdrawn: tuple[Key, ...] = ()
    faults: Mapping[str, JwksError] = field(default_factory=lambda: MappingProxyType({}))
    findings: tuple[Finding, ...] = ()
    unmatched: Names = field(default_factory=Names)
    exist: Names = field(default_factory=Names)
    gone: bool = False
    decided_at: float | None = None
    files: Mapping[str, KeyFile] | None = None
    names: Names = field(default_factory=Names)
    policy_text: PolicyText = field(default_factory=PolicyText)
    last_good: Mapping[str, LastGood[KeyFile]] = field(default_factory=lambda: MappingProxyType({}))
    stand_ins: Mapping[str, StandIn] = field(default_factory=lambda: MappingProxyType({}))
    wrong: JwksError | None = None
    ignored: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gone_since: float | None = None
    seen: Mapping[str, KeyFile] | None = None
    changed_at: float = -math.inf
    changing: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[tuple[str, str], float] = field(default_factory=lambda: MappingProxyType({}))
    revoked: tuple[Key, ...] = ()
    collisions: frozenset[Collision] = frozenset()
    lapsed: frozenset[str] = frozenset()
    skewed: frozenset[str] = frozenset()
    build_at: float = math.inf
    look_at: float = math.inf
    index: Index | None = None

    @property
    def due(self) -> float:
        """When time alone will change something."""
        return min(self.build_at, self.look_at)

    @property
    def served(self) -> KeySet | None:
        """The key set that is published; None if nothing is."""
        return self.keyset if self.serves else None
