"""One look at an issuer's folder, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.keyset import KeyFile


@dataclass(frozen=True, slots=True)
class Observation:
    """What an issuer's folder held at one moment.

    Attributes:
        files: The key files by name, in order.
        policy: The text of ``jwks.toml``, or why it can't be read; None if there is no such file.
        whole: Whether the folder changes as a whole: a Kubernetes volume, or another folder than last time.
        there: Whether the folder exists.
    """

    files: Mapping[str, KeyFile]
    policy: bytes | PolicyInvalid | None
    whole: bool
    there: bool = True

    @classmethod
    def nothing(cls, *, whole: bool) -> "Observation":
        """Make the observation that there is no such folder."""
        return cls({}, None, whole, there=False)

    @property
    def empty(self) -> bool:
        """Whether the folder holds nothing that makes it an issuer."""
        return not self.files and self.policy is None
