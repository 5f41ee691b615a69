"""One look at an issuer's folder, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.keyset import KeyFile


@dataclass(frozen=True, slots=True)
class Observation:
    """What an issuer's folder held at one moment.

    Attributes:
        files: The key files by name, in order; those whose contents show that they are none count as not there.
        policy: The text of ``jwks.toml``, or why it can't be read; None if there is no such file.
        whole: Whether the folder changed as a whole: it is a Kubernetes volume, or a rename, a link or a mount put
            another finished folder in its place. A folder that was deleted and is filled again is not whole.
        there: Whether the folder exists.
        unsettled: Whether somebody may still be writing: something in the folder changed within the last 100 ms, or
            while it was read.
        ignored: The names of files that are not key files, because of their names. They change nothing.
    """

    files: Mapping[str, KeyFile]
    policy: bytes | PolicyInvalid | None
    whole: bool
    there: bool = True
    unsettled: bool = False
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def nothing(cls, *, whole: bool, unsettled: bool = False) -> "Observation":
        """Make the observation that there is no such folder."""
        return cls({}, None, whole, there=False, unsettled=unsettled)

    @property
    def empty(self) -> bool:
        """Whether the folder holds nothing that makes it an issuer."""
        return self.policy is None and all(file.ignored for file in self.files.values())
