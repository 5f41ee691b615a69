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
        whole: Whether the folder changes as a whole: a Kubernetes volume, or a folder that a rename or a link put in
            the place of another one. A folder that was deleted and is filled again is not whole.
        there: Whether the folder exists.
        unsettled: Whether somebody may still be writing: something in the folder changed within the last 100 ms, or
            between two looks at it.
    """

    files: Mapping[str, KeyFile]
    policy: bytes | PolicyInvalid | None
    whole: bool
    there: bool = True
    unsettled: bool = False

    @classmethod
    def nothing(cls, *, whole: bool, unsettled: bool = False) -> "Observation":
        """Say that there is no such folder."""
        return cls({}, None, whole, there=False, unsettled=unsettled)

    @property
    def empty(self) -> bool:
        """Whether the folder holds nothing that makes it an issuer."""
        return not self.files and self.policy is None
