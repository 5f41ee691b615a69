"""inspect FILE: what would be published of a key, member by member."""

import json
import time
from pathlib import Path
from typing import Any

import click

from jwks_server.commands import output
from jwks_server.commands.arguments import Argument, Command, json_option, key_options
from jwks_server.errors import KeyFileError
from jwks_server.keys.evaluate import evaluate
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.instants import utc
from jwks_server.keys.keyset import Key
from jwks_server.options.settings import Settings
from jwks_server.source.files import observe_file
from jwks_server.source.issuers import rules_of

_EXITS = {
    0: "The file is accepted.",
    1: "The file is refused, or jwks.toml is wrong.",
    2: "The file can't be read, or the command is called wrongly.",
}
_SHOWN = 64


@click.command(name="inspect", cls=Command, exits=_EXITS)
@click.argument("file", cls=Argument, metavar="FILE", type=click.Path(path_type=Path))
@key_options
@json_option
def command(*, file: Path, settings: Settings, as_json: bool) -> None:
    """Show what FILE would publish by itself, with the jwks.toml beside it and the options of serve."""
    try:
        found = _evaluated(file, settings)
    except KeyFileError as error:
        raise type(error)(f"{file}: {error.message}") from error
    keys = [*found.keyset.keys, *found.keyset.pending] if found.keyset else []
    if as_json:
        output.document([{"stage": key.state, **_times(key), "jwk": json.loads(key.json)} for key in keys])
        return
    for key in keys:
        members: dict[str, Any] = json.loads(key.json)
        output.table(("MEMBER", "VALUE"), [(name, _short(value)) for name, value in members.items()])
        output.line(", ".join([key.state, *(f"{name} {instant}" for name, instant in _times(key).items())]))
    for verdict in found.verdicts:
        if verdict.outcome == "revoked":
            output.line("Nothing: jwks.toml revokes the key.")
        elif verdict.outcome == "removed" and verdict.since is not None:
            output.line(f"Nothing: jwks.toml removed the key at {utc(verdict.since)}.")


def _evaluated(file: Path, settings: Settings) -> Evaluation:
    """Evaluate the file as if it were alone in its directory.

    Raises:
        KeyFileError: The file is refused.
        PolicyInvalid: The jwks.toml beside it is wrong.
    """
    seen = observe_file(file, settings.passphrase)
    found = evaluate(seen, Evaluation(), time.time(), rules_of(settings), place=str(file.parent), alone=True)
    if found.wrong:
        raise found.wrong
    for verdict in found.verdicts:
        if verdict.outcome == "refused" and verdict.error:
            raise verdict.error
    return found


def _times(key: Key) -> dict[str, str]:
    times = {
        "publish_at": key.publish_at,
        "remove_at": key.remove_at,
        "certificate_not_after": key.public.not_after,
    }
    return {name: utc(instant) for name, instant in times.items() if instant is not None}


def _short(value: str | list[str]) -> str:
    if isinstance(value, list):
        return f"{len(value)} certificates" if len(value) > 1 else "1 certificate"
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}... ({len(value)} characters)"
