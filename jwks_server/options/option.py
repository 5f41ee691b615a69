"""An option: declared as data, read from the command line or from its environment variable."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from jwks_server.errors import ConfigError
from jwks_server.options.settings import UNIX

F = TypeVar("F", bound=Callable[..., None])

PREFIX = "JWKS_SERVER_"
_MODE_BITS = 0o777
_EMPTY = "is empty; give it a value, or leave it out."
_DIGITS = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)


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
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


class Whole(click.IntRange):
    """A whole number."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's own signature
        """Read a number as people write it: digits only."""
        if isinstance(value, str) and not _DIGITS.fullmatch(value):
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return int(super().convert(value, param, ctx))


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


class Network(click.ParamType[Any]):
    """The network of a proxy, or ``unix`` for the other end of a unix socket."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's own signature
        """Read an address or a network in CIDR notation."""
        if value == UNIX:
            return value
        try:
            return ip_network(value)
        except ValueError:
            self.fail(f"{value} is not a network; write, for example, 10.0.0.0/8, 192.0.2.1 or unix.", param, ctx)


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
        return click.option(*names, cls=Parameter, declared=self, **attributes)(command)


class _Strict(click.Parameter):
    """A parameter that refuses empty values, and whose errors name the variable that gave the value."""

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """Take the value from the command line or from the variable.

        Raises:
            ConfigError: It is empty. click would take an empty variable for one that is not set.
        """
        value, source = super().consume_value(ctx, opts)
        if ctx.resilient_parsing:
            return value, source
        if source is ParameterSource.COMMANDLINE:
            if "" in (value if isinstance(value, tuple | list) else (value,)):
                raise ConfigError(f"{self._shown(ctx)} {_EMPTY}")
        elif isinstance(self.envvar, str) and not os.environ.get(self.envvar, "set").strip():
            raise ConfigError(f"The environment variable {self.envvar} {_EMPTY}")
        return value, source

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Read the value; if it is wrong, name the place that it came from."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.BadParameter as exc:
            if exc.param is self:
                by_variable = ctx.get_parameter_source(str(self.name)) is ParameterSource.ENVIRONMENT
                exc.param_hint = f"'{self.envvar if by_variable else self._shown(ctx)}'"
            raise

    def _shown(self, ctx: click.Context) -> str:
        """Name it as the command line does: its flag, or what stands for an argument."""
        return self.make_metavar(ctx) if self.opts[0] == self.name else self.opts[0]


class Parameter(_Strict, click.Option):
    """An option as click keeps it, with its declaration."""

    def __init__(self, *arguments: Any, declared: Option, **attributes: Any) -> None:  # noqa: ANN401 - click's own signature
        super().__init__(*arguments, **attributes)
        self.declared = declared
        self.group = declared.group


class Argument(_Strict, click.Argument):
    """An argument of a command."""
