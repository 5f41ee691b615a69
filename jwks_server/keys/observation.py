"""One look at an issuer's folder, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.keyset import KeyFile


@dataclass(frozen=True, slots=True)
class Observation:
    """What an issuer's folder held at one moment.

    Attributes:
        files: The key files by name, in order.
        policy: The text of ``jwks.toml``, or why it can't be read; None if there is no such file.
        whole: Whether the folder changed as a whole: it is a Kubernetes volume, or a link or a rename put another
            finished folder in its place.
        there: Whether the folder exists.
        ignored: The names of files that are not key files, because of their names. They change nothing.
    """

    files: Mapping[str, KeyFile]
    policy: bytes | PolicyInvalid | None
    whole: bool
    there: bool = True
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def nothing(cls, *, whole: bool) -> "Observation":
        """Say that there is no such folder."""
        return cls({}, None, whole, there=False)

    @property
    def empty(self) -> bool:
        """Whether the folder holds nothing that makes it an issuer."""
        return not self.files and self.policy is None
