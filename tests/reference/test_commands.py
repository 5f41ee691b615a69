"""docs/reference/commands.md describes every command."""

import re

from reference.commands import COMMANDS, options, usage
from reference.tables import page

from jwks_server.options.table import SERVE

PAGE = page("commands")


def test_every_command() -> None:
    """Each command has its own section, with the part that is written from the code, in the order of the alphabet."""
    headings = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    described = ["serve", *sorted(set(COMMANDS) - {"serve"})]
    assert headings == [*described, "JSON"]
    assert re.findall(r"<!-- generated: command (\w+) -->", PAGE) == described


def test_every_flag_that_is_named() -> None:
    """The page names no flag that no command has."""
    known = {one.flag for command in COMMANDS.values() for one in options(command)}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert named <= known | {"--help", "--version"}
    assert {one.flag for one in SERVE} <= known


def test_usage_is_what_the_help_says() -> None:
    """Required options stand in the line that shows how a command is called."""
    assert usage("render") == "jwks-server render [OPTIONS] DIR --out DIR2"
    assert usage("wait") == "jwks-server wait [OPTIONS] KID URL..."
