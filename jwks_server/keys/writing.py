"""What is being written now -> until when a key stays that no file gives any more."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from jwks_server.keys.keyset import Key


@dataclass(frozen=True, slots=True)
class Writing:
    """What is being written now. Times are in seconds since the epoch.

    Attributes:
        changing: Until when each file that is being written counts as such, by name.
        missing: Since when no file gives a key that stays for that reason, by the key's identity.
        grace: How long such a key stays at most, in seconds.
    """

    changing: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[tuple[str, str], float] = field(default_factory=lambda: MappingProxyType({}))
    grace: float = 0.0

    def of(self, key: Key, now: float) -> "Missing":
        """Return since when a key that no file gives has been missing, and until when it stays."""
        since = min(self.missing.get(key.identity, now), now)
        return Missing(since, min(self.changing.get(key.file, since), since + self.grace))


@dataclass(frozen=True, slots=True)
class Missing:
    """Since when a key is missing, and until when it stays. In seconds since the epoch."""

    since: float
    until: float


QUIET = Writing()
