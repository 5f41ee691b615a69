"""The help of a command."""

import click
from click.testing import CliRunner

from jwks_server.options.command_line import with_options
from jwks_server.options.help import Command, Commands
from jwks_server.options.option import Group, Option, Seconds

SECONDS = Option("--some-time", Group.LIMITS, "How long.", Seconds(0, 10), 1.5, metavar="SECONDS")


@click.command(
    cls=Command,
    help="Do it.\n\n\b\nThis stays   as it\nwas written.\n\nThis is not   as\nit was.",
    example="\b\nprogram one --some-time 2\n\nIt takes two seconds.",
)
@with_options(SECONDS)
def one(**_given: object) -> None:
    """Do nothing."""


@click.group(cls=Commands)
def program() -> None:
    """Have commands."""


program.add_command(one)


def test_headings_and_example() -> None:
    """The help has the example first, then the heading, the flag, the variable, the default and the range."""
    output = CliRunner().invoke(one, ["--help"]).output
    shown = " ".join(output.split())
    for part in ("Limits for clients:", "--some-time SECONDS", "JWKS_SERVER_SOME_TIME", "1.5", "0<=x<=10"):
        assert part in shown
    assert output.index("Example:") < output.index("Limits for clients:")
    assert "\n  program one --some-time 2\n\n  It takes two seconds.\n" in output


def test_paragraphs() -> None:
    """A marked paragraph keeps its lines, and another one is filled."""
    output = CliRunner().invoke(one, ["--help"]).output
    assert "\n  This stays   as it\n  was written.\n\n  This is not as it was.\n" in output


def test_commands() -> None:
    """A group lists its commands, each with a sentence."""
    assert "\nCommands:\n  one  Do it.\n" in CliRunner().invoke(program, ["--help"]).output
