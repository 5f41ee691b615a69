"""The command line: options in, one call into the package out."""

import os
import re
import sys
from importlib import import_module
from typing import Any, Literal

import click
from click.shell_completion import shell_complete

from jwks_server import __version__, console, journal
from jwks_server.errors import ConfigError, JwksError
from jwks_server.imports import lighten, without_rich
from jwks_server.options.command_line import changed, directory_argument, serve_options
from jwks_server.options.completion import COMPLETE
from jwks_server.options.help import Command, Commands
from jwks_server.options.option import PREFIX
from jwks_server.options.settings import Settings
from jwks_server.options.table import SERVE
from jwks_server.options.variables import CODE, unknown
from jwks_server.text import printable

_NAME = "jwks-server"
_INTERRUPTED = 130
# PEM, or a member of a JWK that only a key has. The message about a file without PEM has the marker with dots.
_KEY = re.compile(r"""-----BEGIN(?! \.\.\.-)|"(kty|d|p|q|dp|dq|qi|k|priv)"\s*:""")
_KEY_GIVEN = "An argument or a variable holds a key; give the name of the key's file."
_BEGIN = """jwks-server publishes a directory of key files as a JWK Set. To begin:

\b
  mkdir -p keys && openssl genpkey -algorithm RSA -out keys/first.pem
  jwks-server check keys
  jwks-server serve keys

jwks-server --help lists all commands, and jwks-server COMMAND --help
describes one."""
_EXAMPLE = """\b
jwks-server serve keys --bind 0.0.0.0:8080 --retain 90000 --state jwks.json

Serve the keys in the folder keys to everyone. A key whose file is removed stays for 25 hours, across restarts too."""


class _Lazy(click.Command):
    """A command whose module is imported only when it is called, so that other commands start faster."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:  # noqa: ANN401 - click's own signature
        """Make the context of the command itself."""
        with without_rich():
            command: click.Command = import_module(f"jwks_server.commands.{self.name}").command
        return command.make_context(*arguments, **more)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="jwks-server")
@click.pass_context
def cli(context: click.Context) -> None:
    """Publish a directory of key files as a JWK Set."""
    if context.invoked_subcommand != serve.name:  # serve writes them to its log
        for one in unknown(os.environ):
            _complain(f"{printable(one.reason)} [{CODE}]")


for _name, _help in {
    "check": "Show what becomes of each file in DIR.",
    "completion": "Print the script that completes commands in a shell.",
    "diff": "Compare what a URL serves with DIR.",
    "healthcheck": "Check whether a running server is ready.",
    "inspect": "Show what a key file would publish.",
    "kid": "Show the kids of a key file under each scheme.",
    "render": "Write what serve would send to files.",
    "verify": "Find the published key that verifies a token.",
    "version": "Print the version of this program.",
    "wait": "Wait until every replica serves a key.",
}.items():
    cli.add_command(_Lazy(_name, help=_help))


@cli.command(
    cls=Command,
    example=_EXAMPLE,
    exits={
        0: "SIGTERM or SIGINT ended the server.",
        1: "The server can't run: an address is in use, TLS can't start, or a part of the program died.",
        2: "The command is called wrongly, or a file that it names can't be read.",
    },
)
@directory_argument
@serve_options
def serve(*, settings: Settings, log_format: Literal["console", "json"], log_level: str) -> None:
    """Serve the keys in DIR, and follow its changes until SIGTERM."""
    lighten()
    from jwks_server import service  # noqa: PLC0415 - the help and usage errors need no web server
    from jwks_server.logs import logging_to_stderr  # noqa: PLC0415 - as the web server

    with logging_to_stderr(log_format, log_level):
        service.run(settings, changed(SERVE), tuple(unknown(os.environ)))


def main() -> None:
    """Run the command line and exit: 0 for success, 1 for a failure or a no, 2 for a wrong call or no answer."""
    try:
        _refuse_keys()
        if instruction := os.environ.get(COMPLETE):
            sys.exit(shell_complete(cli, {}, _NAME, COMPLETE, instruction))
        # Not click's own main, which takes every closed pipe for a failure of 1.
        with cli.make_context(_NAME, sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as exc:
        formatter = exc.ctx.make_formatter()
        formatter.write_text(_BEGIN)
        click.echo(formatter.getvalue(), nl=False, err=True)
        sys.exit(ConfigError.exit_code)
    except click.ClickException as exc:
        _fail(ConfigError(" ".join(exc.format_message().split())))
    except JwksError as error:
        _fail(error)


def _refuse_keys() -> None:
    """Refuse keys in arguments and variables, before an error message can repeat it: no option takes a key."""
    variables = (value for name, value in os.environ.items() if name.startswith(PREFIX))
    if any(map(_KEY.search, (*sys.argv[1:], *variables))):
        raise ConfigError(_KEY_GIVEN)


def _fail(error: JwksError) -> None:
    message = _KEY_GIVEN if _KEY.search(error.message) else printable(error.message)
    _complain(f"{message} [{error.code}]", journal.prefix("error"))
    sys.exit(error.exit_code)


def _complain(message: str, prefix: str = "") -> None:
    console.say(f"{prefix}jwks-server: {message}")
