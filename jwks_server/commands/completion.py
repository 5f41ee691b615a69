"""completion SHELL: the script that completes commands and options."""

import click
from click.shell_completion import get_completion_class

from jwks_server.commands import output

_EPILOG = """For example, in ~/.bashrc: eval "$(jwks-server completion bash)" """


@click.command(name="completion", epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, *, shell: str) -> None:
    """Print the script that completes commands and options in SHELL."""
    made_for = get_completion_class(shell)
    if made_for is not None:
        output.write(made_for(context.find_root().command, {}, "jwks-server", "_JWKS_SERVER_COMPLETE").source())
