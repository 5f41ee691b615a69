"""README.md names everything that there is."""

import re
from collections.abc import Iterator

import click
import pytest
from support import ROOT

from jwks_server.cli import cli
from jwks_server.errors import JwksError
from jwks_server.keys.kinds import KINDS
from jwks_server.keys.lint import CODES

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


@pytest.mark.parametrize("option", [one for one in cli.commands["serve"].params if one.param_type_name == "option"])
def test_every_flag(option: click.Option) -> None:
    """Configuration has a row for each flag, with its variable and its default."""
    (row,) = [one for one in rows("Configuration") if one[0].strip("`").split()[0] == option.opts[0]]
    assert row[1] == f"`{option.envvar}`"
    default = "off" if option.is_flag else ""
    if isinstance(option.default, str | int | float) and not option.is_flag:
        default = str(option.default)
    if isinstance(option.default, list):
        default = " ".join(option.default)
    assert row[2].strip("`") == default


def test_no_flag_that_is_none() -> None:
    """Configuration has no row for a flag that doesn't exist."""
    flags = {option.opts[0] for option in cli.commands["serve"].params}
    assert {row[0].strip("`").split()[0] for row in rows("Configuration")} == flags - {"directory"} | {"DIR"}


@pytest.mark.parametrize("name", cli.commands)
def test_every_command(name: str) -> None:
    """README names each command as it is typed."""
    assert f"`{name}" in README or f"jwks-server {name}" in README


def test_every_warning() -> None:
    """The warnings' table has each code that lint can give, and no other."""
    source = (ROOT / "README.md").with_name("README.md").read_text().partition("### Warnings")[2].partition("\n## ")[0]
    named = set(
        re.findall(r"`([a-z]+-[a-z-]+)`", "".join(line.split("|")[1] for line in source.splitlines() if "| `" in line))
    )
    assert named == set(CODES)


def test_every_endpoint_and_kind() -> None:
    """Each endpoint and each kind of key is named."""
    for name in ("/.well-known/jwks.json", *KINDS):
        assert name in README


def test_first_thirty_lines_hold_the_commands_and_their_output() -> None:
    """A newcomer sees both commands and real output without scrolling."""
    start = "\n".join(README.splitlines()[:30])
    for part in ("make run", "make test", "curl", "HTTP/1.1 200 OK", '{"keys":[{'):
        assert part in start
