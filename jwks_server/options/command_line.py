"""From the command line to the settings: decorators that add options to a command and pass it the settings."""

import functools
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from jwks_server.address import Address, AnyAddress, parse_address
from jwks_server.errors import ConfigError
from jwks_server.keys.policy import Policy
from jwks_server.options.completion import Folder
from jwks_server.options.option import Argument, Mode, Option
from jwks_server.options.settings import Limits, Listening, Settings, Timing
from jwks_server.options.table import ADMIN_BIND, ADMIN_HOST, BIND, DIRECTORY_VARIABLE, KEY_OPTIONS, SERVER_OPTIONS

Decorated = Callable[..., None]

_ADMIN = "admin"
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_URL = re.compile("https?:/", re.IGNORECASE)


def _directory(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    if _URL.match(value):
        raise click.BadParameter(f"{value} is a URL; give a directory. In diff, DIR stands before the URL.")
    return Path(value)


directory_argument = click.argument(
    "directory", cls=Argument, metavar="DIR", type=Folder(), envvar=DIRECTORY_VARIABLE, callback=_directory
)


def with_options(*options: Option) -> Callable[[Decorated], Decorated]:
    """Add options to a command, in this order."""

    def decorate(command: Decorated) -> Decorated:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


def key_options(command: Decorated) -> Decorated:
    """Add the options that decide about a key set to a command; it gets their values as ``settings``.

    A command without a DIR argument names the directory by itself.
    """

    @functools.wraps(command)
    def with_settings(*arguments: object, **given: Any) -> None:  # noqa: ANN401 - the values of the options
        command(*arguments, settings=_key_settings(given), **_without(given, KEY_OPTIONS))

    return with_options(*KEY_OPTIONS)(with_settings)


def serve_options(command: Decorated) -> Decorated:
    """Add all options of the server to a command; it gets those of the log as they are, the others as ``settings``."""

    @functools.wraps(command)
    def with_settings(*arguments: object, **given: Any) -> None:  # noqa: ANN401 - the values of the options
        settings = replace(
            _key_settings(given),
            timing=_fill(Timing, given),
            listening=_listening(given),
            limits=_fill(Limits, {**given, "max_connections": given["max_connections"] or 0}),
            loop=given["loop"],
            response_cache=not given["no_response_cache"],
        )
        log = {name: given[name] for name in ("log_format", "log_level")}
        command(*arguments, settings=settings, **log, **_without(given, (*KEY_OPTIONS, *SERVER_OPTIONS)))

    return with_options(*KEY_OPTIONS, *SERVER_OPTIONS)(with_settings)


def changed(options: Iterable[Option]) -> str:
    """Write the options of the running command that are not at their defaults, as on a command line.

    No option takes a secret as its value: those are in files, of which only the name is an option's value.
    """
    given = click.get_current_context().params
    words: list[str] = []
    for option in options:
        value = given[_name(option)]
        if option.type is None:
            words += [option.flag] if value else []
            continue
        texts = [_written(option, one) for one in (value if option.repeatable else (value,)) if one is not None]
        default = str(option.default).split() if option.repeatable else [str(option.default)]
        if texts != default:
            words += [word for text in texts for word in (option.flag, text)]
    return shlex.join(words)


def _written(option: Option, value: object) -> str:
    return f"{value:o}" if isinstance(option.type, Mode) else str(value)


def _name(option: Option) -> str:
    return option.parameter or option.flag.removeprefix("--").replace("-", "_")


def _without(given: Mapping[str, Any], options: tuple[Option, ...]) -> dict[str, Any]:
    """Leave the values that are not part of the settings."""
    consumed = {"directory", *map(_name, options)}
    return {name: value for name, value in given.items() if name not in consumed}


def _fill(settings: type[Any], given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an instance of the class
    """Make settings whose fields are named after the options."""
    return settings(**{field.name: given[field.name] for field in fields(settings) if field.name in given})


def _key_settings(given: Mapping[str, Any]) -> Settings:
    policy: Policy = _fill(Policy, {**given, "allow": frozenset(given["allow"])})
    return Settings(
        directory=given.get("directory", Path()),
        path=given["path"],
        media_type=given["media_type"],
        patterns=given["pattern"],
        passphrase_file=given["passphrase_file"],
        policy=policy,
        timing=Timing(propagation=given["propagation"]),
        state=given["state"],
    )


def _listening(given: Mapping[str, Any]) -> Listening:
    """Add the sockets from systemd to the addresses.

    Raises:
        ConfigError: An address can't be used, or a certificate has no key.
    """
    from jwks_server.systemd import passed_sockets  # noqa: PLC0415 - imports asyncio, which other commands don't need

    passed = passed_sockets(os.environ, os.getpid())
    public: tuple[AnyAddress, ...] = tuple(one for name, one in passed if name != _ADMIN)
    is_default = click.get_current_context().get_parameter_source("bind") is ParameterSource.DEFAULT
    if not public or not is_default:
        public += tuple(parse_address(text, _source(BIND)) for text in given["bind"])
    admin: tuple[AnyAddress, ...] = tuple(one for name, one in passed if name == _ADMIN)
    if not admin and given["admin_bind"] != "off":
        admin = (parse_address(given["admin_bind"], _source(ADMIN_BIND)),)
    _refuse_repeated((*public, *admin))
    # What healthcheck and people who know the address ask for is answered without another option.
    own = (one.host.lower() for one in admin if isinstance(one, Address) and one.host)
    hosts = (*map(_host, given["admin_host"]), *own)
    listening: Listening = _fill(
        Listening,
        {
            **given,
            "public": public,
            "admin": admin,
            "admin_hosts": hosts,
            "trusted_proxies": given["trusted_proxy"],
        },
    )
    return listening


def _source(option: Option) -> str:
    """Name the place that an option's value came from: its flag or its variable."""
    source = click.get_current_context().get_parameter_source(_name(option))
    return str(option.variable) if source is ParameterSource.ENVIRONMENT else option.flag


def _refuse_repeated(addresses: tuple[AnyAddress, ...]) -> None:
    """Refuse an address that is there twice, before the first is listened on. Each port 0 is another port.

    Raises:
        ConfigError: There is one.
    """
    fixed = [one for one in addresses if not isinstance(one, Address) or one.port]
    repeated = next((one for number, one in enumerate(fixed) if one in fixed[:number]), None)
    if repeated is not None:
        raise ConfigError(f"The address {repeated} is given twice; listen at it once.")


def _host(text: str) -> str:
    """Read a host name, in lower case.

    Raises:
        ConfigError: The text isn't one.
    """
    if not _HOST.fullmatch(text):
        raise ConfigError(f"{_source(ADMIN_HOST)} {text} is not a host name without a port; correct it.")
    return text.lower()
