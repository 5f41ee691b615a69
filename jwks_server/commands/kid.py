"""kid FILE: the kid that a key would have under each scheme."""

from contextlib import suppress
from pathlib import Path

import click

from jwks_server.commands import output
from jwks_server.commands.arguments import Argument, Command, json_option, passphrase, passphrase_option
from jwks_server.errors import KeyFileError, KidInvalid
from jwks_server.keys.jwk import PublicKey, filename_kid
from jwks_server.source.files import key_file

_EXITS = {
    0: "The file has a key.",
    1: "The file is refused.",
    2: "The file can't be read, or the command is called wrongly.",
}


@click.command(name="kid", cls=Command, exits=_EXITS)
@click.argument("file", cls=Argument, metavar="FILE", type=click.Path(path_type=Path))
@passphrase_option
@json_option
def command(*, file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Show the kids that each key in FILE has under the schemes of serve's --kid. What a JWK says goes before them."""
    try:
        keys = key_file(file, passphrase(passphrase_file)).keys
    except KeyFileError as error:
        raise type(error)(f"{file}: {error.message}") from error
    named = [{"kind": key.kind.name, **_kids(file.name, key)} for key in keys]
    if as_json:
        output.document(named)
    else:
        rows = [(one["kind"], scheme, kid) for one in named for scheme, kid in one.items() if scheme != "kind"]
        output.table(("KIND", "SCHEME", "KID"), rows)


def _kids(name: str, key: PublicKey) -> dict[str, str]:
    kids = {} if key.kid is None else {"jwk": key.kid}
    kids |= {"thumbprint": key.thumbprint, "spki-sha256": key.spki_sha256}
    with suppress(KidInvalid):  # the file has no kid under that scheme
        kids["filename"] = filename_kid(name)
    return kids
