"""README.md names everything that there is."""

import re
from collections.abc import Iterator

import pytest
from support import ROOT

from jwks_server.cli import cli
from jwks_server.errors import JwksError
from jwks_server.keys.kinds import KINDS
from jwks_server.keys.lint import CODES
from jwks_server.options.variables import CODE as VARIABLE_UNKNOWN

README = (ROOT / "README.md").read_text()


def codes(error: type[JwksError] = JwksError) -> Iterator[str]:
    """List the codes of an error class and all below it."""
    if "code" in vars(error):
        yield error.code
    for below in error.__subclasses__():
        yield from codes(below)


def rows(section: str) -> list[list[str]]:
    """Read the table rows of a section."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def test_every_error_code() -> None:
    """Troubleshooting has a row for each error code, and none for a code that doesn't exist."""
    assert sorted(row[0].strip("`") for row in rows("Troubleshooting")) == sorted(codes())


def test_codes_are_stable_names() -> None:
    """Codes are lower-case words, each used once."""
    found = list(codes())
    assert len(found) == len(set(found))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", code) for code in found)


@pytest.mark.parametrize("name", cli.commands)
def test_every_command(name: str) -> None:
    """README names each command as it is typed."""
    assert f"`{name}" in README or f"jwks-server {name}" in README


def test_every_warning() -> None:
    """The warnings' table has each code of a warning, and no other."""
    source = (ROOT / "README.md").with_name("README.md").read_text().partition("### Warnings")[2].partition("\n## ")[0]
    named = set(
        re.findall(r"`([a-z]+-[a-z-]+)`", "".join(line.split("|")[1] for line in source.splitlines() if "| `" in line))
    )
    assert named == {*CODES, VARIABLE_UNKNOWN}


def test_every_endpoint_and_kind() -> None:
    """Each endpoint and each kind of key is named."""
    for name in ("/.well-known/jwks.json", *KINDS):
        assert name in README


def test_first_thirty_lines_hold_the_commands_and_their_output() -> None:
    """A newcomer sees both commands and real output without scrolling."""
    start = "\n".join(README.splitlines()[:30])
    for part in ("make run", "make test", "curl", "HTTP/1.1 200 OK", '{"keys":[{'):
        assert part in start
