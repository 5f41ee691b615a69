"""The command line: options in, one call into the package out."""

import os
import re
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any, Literal, get_args

import click

from jwks_server import __version__
from jwks_server.errors import ConfigError, JwksError
from jwks_server.options.declare import finite, limits_of, listening_of, listening_options, option
from jwks_server.options.settings import Loop, Settings
from jwks_server.options.shared import directory_argument, key_options
from jwks_server.text import printable

_INTERRUPTED = 130
# What keys/pem.py says of a file without any is no PEM.
_PEM = re.compile(r"-----BEGIN(?! \.\.\.-)")
_PEM_GIVEN = "PEM stands where a name belongs; name the key's file."
_VARIABLES = "JWKS_SERVER_"


class _Lazy(click.Command):
    """A command whose module is imported when it is called, so that none costs another its start."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:  # noqa: ANN401 - click's own signature
        """Hand over to the command itself."""
        command: click.Command = import_module(f"jwks_server.commands.{self.name}").command
        return command.make_context(*arguments, **more)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="jwks-server")
def cli() -> None:
    """Publish a directory of PEM files as a JWK Set."""


for _name, _help in {
    "check": "Judge each file in DIR.",
    "completion": "Print the script that completes commands in a shell.",
    "diff": "Compare what a URL serves with what DIR says.",
    "healthcheck": "Ask a running server whether it is ready.",
    "inspect": "Show what a key file would publish.",
    "kid": "Show a key file's kids under each scheme.",
    "render": "Write what serve would send into files.",
    "verify": "Find the published key that verifies a token.",
    "version": "Print this program's version.",
    "wait": "Wait until every replica serves a key.",
}.items():
    cli.add_command(_Lazy(_name, help=_help))


@cli.command()
@click.pass_context
@directory_argument
@listening_options
@key_options
@option(
    "--rescan",
    default=1.0,
    type=click.FloatRange(0.01, 3600),
    callback=finite,
    metavar="SECONDS",
    help="Look at the directory this often even without an event.",
)
@option(
    "--settle",
    default=2.0,
    type=click.FloatRange(0, 3600),
    callback=finite,
    metavar="SECONDS",
    help="How long a file that turned bad keeps its last good keys: it may be half written.",
)
@option("--loop", default="uvloop", type=click.Choice(get_args(Loop)), help="The event loop.")
@option(
    "--no-response-cache",
    is_flag=True,
    help="Pass every request to the application; the answers are the same, but slower.",
)
@option("--log-format", default="console", type=click.Choice(["console", "json"]), help="For people or machines.")
@option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="The least level."
)
def serve(  # noqa: PLR0913 - one parameter an option
    context: click.Context,
    /,
    *,
    settings: Settings,
    rescan: float,
    settle: float,
    loop: Loop,
    no_response_cache: bool,
    log_format: Literal["console", "json"],
    log_level: str,
    **_of_context: object,
) -> None:
    """Serve the keys in DIR and follow its changes, until SIGTERM."""
    settings = replace(
        settings,
        listening=listening_of(context),
        limits=limits_of(context),
        timing=replace(settings.timing, rescan=rescan, settle=settle),
        loop=loop,
        response_cache=not no_response_cache,
    )
    from jwks_server import service  # noqa: PLC0415 - help and usage errors need no web server
    from jwks_server.logs import logging_to_stderr  # noqa: PLC0415 - as the web server

    with logging_to_stderr(log_format, log_level):
        service.run(settings)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed or the answer is no, 2 called wrongly or not to be answered."""
    try:
        _refuse_pem()
        cli.main(prog_name="jwks-server", standalone_mode=False)
    except click.Abort:
        sys.exit(_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        sys.exit(ConfigError.exit_code)
    except click.ClickException as exc:
        _fail(ConfigError(" ".join(exc.format_message().split())))
    except JwksError as error:
        _fail(error)


def _refuse_pem() -> None:
    """Refuse a key where its file's name belongs, before anything can repeat it: no option or argument takes one."""
    variables = (value for name, value in os.environ.items() if name.startswith(_VARIABLES))
    if any(map(_PEM.search, (*sys.argv[1:], *variables))):
        raise ConfigError(_PEM_GIVEN)


def _fail(error: JwksError) -> None:
    said = _PEM_GIVEN if _PEM.search(error.message) else printable(error.message)
    click.echo(f"jwks-server: {said} [{error.code}]", err=True)
    sys.exit(error.exit_code)
