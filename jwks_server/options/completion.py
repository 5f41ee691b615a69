"""What a shell completes in the place of an argument."""

import click
from click.shell_completion import CompletionItem

# The variable by which a shell asks for completions.
COMPLETE = "_JWKS_SERVER_COMPLETE"


class Folder(click.ParamType[str]):
    """A text for which the shell completes the names of folders; it may be another text, such as a URL."""

    name = "folder"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell list folders."""
        del ctx, param
        return [CompletionItem(incomplete, type="dir")]
