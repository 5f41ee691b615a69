"""The options that commands share, each declared once: what decides about a key set means the same everywhere."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from jwks_server.errors import ConfigError
from jwks_server.keys.kinds import ED_ALGS, OPTIONAL_KINDS, RSA_ALGS, KidScheme
from jwks_server.keys.policy import Policy
from jwks_server.options.declare import YEAR_SECONDS, option, seconds
from jwks_server.options.settings import Settings, Timing, read_passphrase


def _directory(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    if not value:
        raise click.BadParameter("An empty DIR is no directory; write . for the current one.")
    return Path(value)


directory_argument = click.argument("directory", metavar="DIR", envvar="JWKS_SERVER_DIR", callback=_directory)
propagation_option = seconds(
    "--propagation", 900.0, 0, "How long the slowest verifier takes to see a new key, beyond max-age."
)
passphrase_option = option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="Holds the passphrase of encrypted private keys.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")

_KEY_OPTIONS = (
    option("--path", default="/.well-known/jwks.json", metavar="PATH", help="Serve the JWK Set here."),
    option("--media-type", default="application/json", metavar="TYPE", help="The JWK Set's Content-Type."),
    option(
        "--max-age",
        default=300,
        type=click.IntRange(0, YEAR_SECONDS),
        metavar="SECONDS",
        help="How long caches keep it.",
    ),
    option(
        "--pattern", multiple=True, default=["*.pem", "tls.crt"], metavar="GLOB", help="Names of key files. Repeatable."
    ),
    passphrase_option,
    option("--kid", default="thumbprint", type=click.Choice(get_args(KidScheme)), help="How a key's kid is made."),
    option("--rsa-alg", default="RS256", type=click.Choice(RSA_ALGS), help="The alg of RSA keys."),
    option("--ed-alg", default="EdDSA", type=click.Choice(ED_ALGS), help="The alg of Edwards-curve keys."),
    option(
        "--allow", multiple=True, type=click.Choice(OPTIONAL_KINDS), help="Publish this kind of key too. Repeatable."
    ),
    option("--allow-empty", is_flag=True, help="Let a change through that leaves no key at all."),
    option(
        "--retain",
        default=0,
        type=click.IntRange(0, YEAR_SECONDS),
        metavar="SECONDS",
        help="How long a key stays published after its file vanished or was replaced.",
    ),
    propagation_option,
    option(
        "--state",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Remembers first-published times and retiring keys across restarts.",
    ),
)


def key_options(command: Callable[..., None]) -> Callable[..., None]:
    """Declare what decides about a key set; the command gets all of it as ``settings``.

    A command without a DIR argument says itself which directory is meant.
    """

    @functools.wraps(command)
    def with_settings(  # noqa: PLR0913 - one parameter an option
        *context: object,
        directory: Path = Path(),
        path: str,
        media_type: str,
        max_age: int,
        pattern: tuple[str, ...],
        passphrase_file: Path | None,
        kid: KidScheme,
        rsa_alg: str,
        ed_alg: str,
        allow: tuple[str, ...],
        allow_empty: bool,
        retain: int,
        propagation: float,
        state: Path | None,
        **rest: object,
    ) -> None:
        settings = Settings(
            directory=directory,
            path=path,
            media_type=media_type,
            patterns=pattern,
            passphrase_file=passphrase_file,
            passphrase=passphrase(passphrase_file),
            policy=Policy(
                allow=frozenset(allow),
                kid=kid,
                rsa_alg=rsa_alg,
                ed_alg=ed_alg,
                max_age=max_age,
                retain=retain,
                allow_empty=allow_empty,
            ),
            timing=Timing(propagation=propagation),
            state=state,
        )
        command(*context, settings=settings, **rest)

    for declare in reversed(_KEY_OPTIONS):
        with_settings = declare(with_settings)
    return with_settings


def passphrase(path: Path | None) -> bytes | None:
    """Read what opens encrypted private keys; None where no file is named.

    Raises:
        ConfigError: The file can't be read.
    """
    try:
        return read_passphrase(path) if path else None
    except OSError as exc:
        raise ConfigError(f"--passphrase-file {path} can't be read; mend its mode.") from exc
