"""What a mutant is, and how it is put into a copy of the tree."""

from dataclasses import dataclass
from pathlib import Path


class StaleError(Exception):
    """The text to replace does not stand exactly once in the file."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small fault, put into the program on purpose.

    Attributes:
        name: What is broken.
        promise: What no longer holds.
        file: The file, below ``jwks_server/``.
        before: The text that is replaced; it must stand exactly once in the file.
        after: What takes its place.
        tests: The tests that must fail, as pytest names them, below ``tests/``.
    """

    name: str
    promise: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """Give the file's text with the fault in it.

        Raises:
            StaleError: The text to replace does not stand exactly once in the file.
        """
        if source.count(self.before) != 1:
            raise StaleError(f"{self.file}: the text stands {source.count(self.before)} times, not once")
        return source.replace(self.before, self.after)

    def tree(self, root: Path) -> Path:
        """Tell where the file is in a copy of the tree."""
        return root / "jwks_server" / self.file
