"""The options about listening, clients and the end; each can also be set by its environment variable."""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from jwks_server.address import AnyAddress, handed_down, parse_address
from jwks_server.options.settings import Limits, Listening

F = TypeVar("F", bound=Callable[..., None])

YEAR_SECONDS = 365 * 86400
_ADMIN = "admin"


def option(flag: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own signature
    """Make an option that can also be set by its environment variable, JWKS_SERVER_ and its name."""
    variable = "JWKS_SERVER_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **attributes)


def finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse what is no number of seconds, though it is a float."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of seconds.")
    return value


def seconds(flag: str, default: float, least: float, meaning: str) -> Callable[[F], F]:
    """Make an option that takes seconds."""
    span = click.FloatRange(least, YEAR_SECONDS)
    return option(flag, default=default, type=span, callback=finite, metavar="SECONDS", help=meaning)


def _mode(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    try:
        mode = int(value, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:  # noqa: PLR2004 - the permission bits
        raise click.BadParameter(f"{value} is no mode in octal; write, for example, 660.")
    return mode


_FILE = click.Path(dir_okay=False, path_type=Path)
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    option("--bind", multiple=True, default=["127.0.0.1:8080"], metavar="ADDRESS", help="Listen here. Repeatable."),
    option("--unix-mode", default="660", callback=_mode, metavar="MODE", help="The mode of unix sockets, in octal."),
    option("--reuse-port", is_flag=True, help="Let several processes listen at the same port."),
    option(
        "--tls-cert", type=_FILE, metavar="FILE", help="The certificate chain; then the public listener speaks TLS."
    ),
    option("--tls-key", type=_FILE, metavar="FILE", help="Its private key."),
    option(
        "--admin-bind",
        default="127.0.0.1:8081",
        metavar="ADDRESS",
        help="Probes, metrics and status are here; off for nowhere.",
    ),
    option("--access-log", is_flag=True, help="Log each answer."),
    seconds("--drain", 0.0, 0, "How long to go on after SIGTERM before the listeners are closed."),
    seconds("--grace", 10.0, 0, "How long to wait for connections after that."),
    option(
        "--max-connections",
        type=click.IntRange(1),
        metavar="NUMBER",
        help="How many there are at once. [default: as many as memory and descriptors allow]",
    ),
    seconds("--head-timeout", 10.0, 0.01, "How long a request's head may take."),
    seconds("--idle-timeout", 75.0, 0.01, "How long a connection waits for the next request."),
    seconds("--body-timeout", 5.0, 0.01, "How long a body, which nobody reads, is waited for."),
    seconds("--write-timeout", 20.0, 0.01, "How long a client may leave a reply unread."),
    seconds("--handshake-timeout", 10.0, 0.01, "How long a TLS handshake may take."),
    option("--max-head", default=16384, type=click.IntRange(4096, 2**20), metavar="BYTES", help="A request's head."),
    option("--max-fields", default=100, type=click.IntRange(64, 10000), metavar="NUMBER", help="Its header fields."),
    option("--max-body", default=65536, type=click.IntRange(0, 2**30), metavar="BYTES", help="A body."),
    option(
        "--backlog",
        default=4096,
        type=click.IntRange(1, 65535),
        metavar="NUMBER",
        help="How many connections wait in the kernel.",
    ),
)


def listening_options(command: F) -> F:
    """Give a command the options."""
    for one in reversed(_OPTIONS):
        command = one(command)
    return command


def listening_of(context: click.Context) -> Listening:
    """Read where and how to listen from a command's options.

    Raises:
        ConfigError: An address is none, or a certificate lacks its key.
    """
    given: Mapping[str, Any] = context.params
    inherited = handed_down(os.environ, os.getpid())
    public: tuple[AnyAddress, ...] = tuple(one for name, one in inherited if name != _ADMIN)
    if not public or context.get_parameter_source("bind") is not ParameterSource.DEFAULT:
        public += tuple(parse_address(text) for text in given["bind"])
    admin: tuple[AnyAddress, ...] = tuple(one for name, one in inherited if name == _ADMIN)
    if not admin and given["admin_bind"] != "off":
        admin = (parse_address(given["admin_bind"], "--admin-bind"),)
    return Listening(
        public=public,
        admin=admin,
        **{name: given[name] for name in ("unix_mode", "reuse_port", "tls_cert", "tls_key")},
        **{name: given[name] for name in ("drain", "grace", "access_log")},
    )


def limits_of(context: click.Context) -> Limits:
    """Read what clients may do from a command's options."""
    given: Mapping[str, Any] = context.params
    timeouts = {name: given[name] for name in given if name.endswith("_timeout")}
    sizes = {name: given[name] for name in ("max_head", "max_fields", "max_body", "backlog")}
    return Limits(max_connections=given["max_connections"] or 0, **timeouts, **sizes)
