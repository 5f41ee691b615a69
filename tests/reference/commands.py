"""The commands and their options, as the reference pages and the man page read them from the code."""

import sys
from collections.abc import Iterable
from importlib import import_module

import click
import pytest

from jwks_server import cli as program
from jwks_server.cli import cli
from jwks_server.keys.policy import MAX_SECONDS
from jwks_server.options.help import Command
from jwks_server.options.option import Group, Mode, Network, Option, Parameter
from jwks_server.options.table import JSON, KEY_OPTIONS

# What stands for a value that has no range or choices of its own.
_TEXTS = {
    "ADDRESS": "an address",
    "DIR2": "a folder",
    "FILE": "a file",
    "GLOB": "a shell pattern without `/` that does not begin with a dot",
    "NAME": "a host name",
    "PATH": "an absolute path of letters, digits and `. _ ~ -`",
    "TIME": "a time with its offset (RFC 3339)",
    "TYPE": "a media type",
    "URL": "an http URL",
}


def _loaded(name: str) -> Command:
    command = cli.commands[name]
    if not isinstance(command, Command):
        command = import_module(f"jwks_server.commands.{name}").command
    assert isinstance(command, Command)
    return command


COMMANDS = {name: _loaded(name) for name in sorted(cli.commands)}


def options(command: Command) -> list[Option]:
    """List the options of a command, without ``--help``."""
    return [one.declared for one in command.params if isinstance(one, Parameter)]


def takes_key_options(command: Command) -> bool:
    """Report whether a command has all options about keys."""
    return set(KEY_OPTIONS) <= set(options(command))


def own_options(command: Command) -> list[Option]:
    """List the options of a command besides those about keys, ``--json`` last."""
    shared = KEY_OPTIONS if takes_key_options(command) else ()
    return sorted((one for one in options(command) if one not in shared), key=lambda one: one is JSON)


def usage(name: str) -> str:
    """Write how a command is called, with its required options."""
    command = COMMANDS[name]
    arguments = [one.make_metavar(click.Context(command)) for one in command.params if isinstance(one, click.Argument)]
    required = [flag(one) for one in options(command) if one.required]
    return " ".join(("jwks-server", name, "[OPTIONS]", *arguments, *required))


def flag(option: Option) -> str:
    """Write an option with what stands for its value."""
    return f"{option.flag} {option.metavar}" if option.metavar else option.flag


def values(option: Option) -> str:
    """Say which values an option has, with unit and range."""
    match option.type:
        case None:
            return "a switch"
        case click.Choice():
            return ", ".join(f"`{one}`" for one in option.choices)
        case click.IntRange() | click.FloatRange():
            return _range(option.type, {"SECONDS": "seconds", "BYTES": "bytes"}.get(str(option.metavar), ""))
        case Mode():
            return "0 to 777, in octal"
        case Network():
            return "an address, a network or `unix`"
        case _:
            return _TEXTS[str(option.metavar)]


def _range(numbers: click.IntRange | click.FloatRange, unit: str) -> str:
    least = f"more than {numbers.min:g}, at most" if numbers.min_open else f"{numbers.min:g} to"
    if numbers.max is None:
        return f"{numbers.min:g} or more"
    if unit == "seconds" and isinstance(numbers, click.IntRange):
        unit = "whole seconds"
    year = "(366 days)" if numbers.max == MAX_SECONDS else ""
    return " ".join(filter(None, (least, f"{numbers.max:.0f}", unit, year)))


def default(option: Option) -> str:
    """Write an option's default: as it would be typed, or in words; nothing where there is none."""
    if option.type is None:
        return "off"
    if option.default_text or option.default is None:
        return option.default_text
    return f"`{option.default:g}`" if isinstance(option.default, float) else f"`{option.default}`"


def by_group(shown: Iterable[Option]) -> dict[Group, list[Option]]:
    """Sort options under the headings of the help."""
    found = {group: [one for one in shown if one.group is group] for group in Group}
    return {group: listed for group, listed in found.items() if listed}


def ended(*arguments: str) -> int:
    """Run the command line in this process, and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jwks-server", *arguments])
        try:
            program.main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0
