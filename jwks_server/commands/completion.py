"""completion SHELL: the script that completes commands and options."""

import click
from click.shell_completion import get_completion_class

from jwks_server.commands import output
from jwks_server.options.completion import COMPLETE
from jwks_server.options.help import Command
from jwks_server.options.option import Argument

_EPILOG = """For example, in ~/.bashrc: eval "$(jwks-server completion bash)" """


@click.command(
    name="completion",
    cls=Command,
    epilog=_EPILOG,
    exits={0: "The script is printed.", 2: "The command is called wrongly."},
)
@click.argument("shell", cls=Argument, metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, *, shell: str) -> None:
    """Print the script that completes commands and options in SHELL."""
    script_class = get_completion_class(shell)
    if script_class is not None:
        output.write(script_class(context.find_root().command, {}, "jwks-server", COMPLETE).source())
