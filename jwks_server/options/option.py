"""An option: declared as data, read from the command line or from its environment variable."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., None])

PREFIX = "JWKS_SERVER_"
_MODE_BITS = 0o777


class Group(StrEnum):
    """A heading of the help, in the order in which they stand there."""

    FILES = "Key files"
    SET = "JWK Set"
    ROTATION = "Rotation"
    LISTENERS = "Listeners"
    LIMITS = "Limits for clients"
    SHUTDOWN = "Shutdown"
    LOGGING = "Logging"
    INTERNALS = "Internals"
    COMMAND = "This command"


class Seconds(click.FloatRange):
    """A number of seconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's own signature
        """Read a number; NaN passes every comparison, so it is refused by itself."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


class Mode(click.ParamType[int]):
    """A file's permission bits, in octal."""

    name = "mode"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's own signature
        """Read an octal number."""
        try:
            mode = int(value, 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= _MODE_BITS:
            self.fail(f"{value} is not a mode in octal; write, for example, 660.", param, ctx)
        return mode


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        flag: How it is written on the command line.
        group: The heading under which the help lists it.
        help: What it does, in a sentence that can be understood alone.
        type: Its values and their range; None for a switch, which is off by default.
        default: Its value when it isn't given; a repeatable option has several, separated by spaces.
        default_text: What the help says instead of the default, where the default is not a fixed value.
        metavar: What stands for its value in the help.
        repeatable: Whether it can be given several times. Its variable then holds values separated by spaces.
        required: Whether the command can't run without it.
        has_variable: Whether it can also be set by an environment variable.
        parameter: The command's parameter that gets the value; without one, it is named after the flag.
    """

    flag: str
    group: Group
    help: str
    type: click.ParamType[Any] | None = None
    default: str | float | None = None
    default_text: str = ""
    metavar: str | None = None
    repeatable: bool = False
    required: bool = False
    has_variable: bool = True
    parameter: str = ""

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it."""
        return PREFIX + self.flag.removeprefix("--").replace("-", "_").upper() if self.has_variable else None

    @property
    def choices(self) -> tuple[str, ...]:
        """The values from which to choose; empty where there is no such list."""
        return tuple(self.type.choices) if isinstance(self.type, click.Choice) else ()

    def __call__(self, command: F) -> F:
        """Add the option to a command: a decorator."""
        attributes: dict[str, Any] = {
            "help": self.help,
            "envvar": self.variable,
            "show_envvar": self.has_variable,
            "show_default": self.default_text or True,
            "required": self.required,
        }
        if self.type is None:
            attributes["is_flag"] = True
        else:
            metavar = None if self.choices else self.metavar
            attributes |= {"type": self.type, "multiple": self.repeatable, "metavar": metavar}
            if self.default is not None:  # click takes None for a value, and a required option for given
                attributes["default"] = str(self.default).split() if self.repeatable else self.default
        names = (self.flag, self.parameter) if self.parameter else (self.flag,)
        return click.option(*names, cls=Parameter, group=self.group, **attributes)(command)


class Parameter(click.Option):
    """An option as click keeps it, with its heading."""

    def __init__(self, *arguments: Any, group: Group, **attributes: Any) -> None:  # noqa: ANN401 - click's own signature
        super().__init__(*arguments, **attributes)
        self.group = group


class Command(click.Command):
    """A command whose help lists the options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each heading; click's own ``--help`` belongs to the command."""
        sections: dict[Group, list[tuple[str, str]]] = {group: [] for group in Group}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                sections[getattr(parameter, "group", Group.COMMAND)].append(record)
        for group, records in sections.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)
