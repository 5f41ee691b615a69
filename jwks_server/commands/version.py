"""version: the versions of this program and of what it runs on."""

import platform
from importlib import metadata

import click

from jwks_server import __version__
from jwks_server.commands import output
from jwks_server.commands.arguments import Command, json_option


@click.command(
    name="version",
    cls=Command,
    exits={0: "The versions are printed.", 2: "The command is called wrongly."},
)
@json_option
def command(*, as_json: bool) -> None:
    """Print the versions of this program, of Python and of the most important libraries."""
    libraries = {name: metadata.version(name) for name in ("aiohttp", "cryptography", "joserfc")}
    versions = {"jwks-server": __version__, "python": platform.python_version(), **libraries}
    if as_json:
        output.document(versions)
    else:
        output.write("\n".join(f"{name} {version}" for name, version in versions.items()))
