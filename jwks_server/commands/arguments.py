"""The arguments that commands have in common. They read the passphrase once, since its file may be a pipe."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jwks_server.options import command_line
from jwks_server.options.command_line import directory_argument
from jwks_server.options.completion import Folder
from jwks_server.options.help import Command
from jwks_server.options.option import Argument
from jwks_server.options.settings import Settings
from jwks_server.options.table import JSON, PASSPHRASE_FILE
from jwks_server.source.passphrase import passphrase

__all__ = [
    "Argument",
    "Command",
    "Folder",
    "directory_argument",
    "json_option",
    "key_options",
    "passphrase",
    "passphrase_option",
]


json_option = JSON
passphrase_option = PASSPHRASE_FILE


def key_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that decide about a key set, and ``settings`` with the passphrase."""

    @functools.wraps(command)
    def with_passphrase(*arguments: object, settings: Settings, **given: Any) -> None:  # noqa: ANN401 - as the command's
        command(*arguments, settings=replace(settings, passphrase=passphrase(settings.passphrase_file)), **given)

    return command_line.key_options(with_passphrase)
