"""A table of ``jwks.toml``, read member by member; an error names the line and the key."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jwks_server.errors import PolicyInvalid

FILE_NAME = "jwks.toml"


@dataclass(frozen=True, slots=True)
class Member:
    """What a member must be.

    Attributes:
        what: The value in words, to follow "is not".
        read: Returns what the program uses; fails with TypeError, ValueError or OverflowError.
    """

    what: str
    read: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file.

    Attributes:
        text: The whole file, in which to find a key's line.
        path: The table's name, part by part.
    """

    text: str
    path: tuple[str, ...]

    def read(self, entry: Mapping[str, object], members: Mapping[str, Member]) -> dict[str, Any]:
        """Read the table's members.

        Raises:
            PolicyInvalid: A member is unknown, or has a wrong value.
        """
        for name in entry:
            if name not in members:
                raise self.error(name, f"is unknown; known are {', '.join(members)}")
        return {name: self._read(name, members[name], value) for name, value in entry.items()}

    def _read(self, name: str, member: Member, value: object) -> object:
        try:
            return member.read(value)
        except (TypeError, ValueError, OverflowError) as exc:
            raise self.error(name, f"is not {member.what}") from exc

    def error(self, name: str, fault: str) -> PolicyInvalid:
        """Make the error for one member, or, without a name, for the table."""
        key = ".".join(f'"{part}"' if "." in part else part for part in (*self.path, name) if part)
        line = self._line(name)
        return PolicyInvalid(f"{FILE_NAME}{f' line {line}' if line else ''}: {key} {fault}.")

    def _line(self, name: str) -> int | None:
        """Find the line that sets a key, or else the one that opens its table; the parser keeps neither."""
        header = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(map(_either_quoted, self.path)) + r"\s*\]")
        setting = re.compile(r"\s*" + _either_quoted(name) + r"\s*(=|\.)")
        opened = None if self.path else 0
        inside = not self.path
        for number, line in enumerate(self.text.splitlines(), start=1):
            if line.lstrip().startswith("["):
                inside = bool(self.path and header.match(line))
                opened = number if inside else opened
            elif inside and name and setting.match(line):
                return number
        return opened or None


def _either_quoted(name: str) -> str:
    return "[\"']?" + re.escape(name) + "[\"']?"
