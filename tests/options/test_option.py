"""An option: its value from a flag or a variable, its ranges."""

import click
import pytest
from click.testing import CliRunner, Result

from jwks_server.options.command_line import with_options
from jwks_server.options.help import Command
from jwks_server.options.option import Group, Mode, Option, Seconds

SECONDS = Option("--some-time", Group.LIMITS, "How long.", Seconds(0, 10), 1.5, metavar="SECONDS")
MODE = Option("--some-mode", Group.LISTENERS, "Which mode.", Mode(), "660", metavar="MODE")


def invoke(*arguments: str, option: Option = SECONDS, **environment: str) -> Result:
    """Call a command with one option, which prints its value."""

    @click.command(cls=Command)
    @with_options(option)
    def command(**given: object) -> None:
        (value,) = given.values()
        click.echo(str(value))

    return CliRunner().invoke(command, arguments, env=environment)


def test_flag_variable_and_default() -> None:
    """A flag wins over its variable, and the variable over the default."""
    assert invoke().output == "1.5\n"
    assert invoke(JWKS_SERVER_SOME_TIME="2").output == "2.0\n"
    assert invoke("--some-time", "3", JWKS_SERVER_SOME_TIME="2").output == "3.0\n"


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "11", "soon"])
def test_not_a_time(value: str) -> None:
    """A value out of range, or one that is not a number of seconds, is refused by the flag's name."""
    done = invoke("--some-time", value)
    assert (done.exit_code, "--some-time" in done.output) == (2, True)


@pytest.mark.parametrize(("value", "mode"), [("660", 0o660), ("0", 0), ("777", 0o777)])
def test_mode(value: str, mode: int) -> None:
    """A mode is read as octal."""
    assert invoke("--some-mode", value, option=MODE).output == f"{mode}\n"


@pytest.mark.parametrize("value", ["1000", "-1", "8", "rw"])
def test_not_a_mode(value: str) -> None:
    """Another text is refused."""
    assert invoke("--some-mode", value, option=MODE).exit_code == 2
