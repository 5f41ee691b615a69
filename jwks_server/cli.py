"""The command line: options in, one call into the package out."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from jwks_server import __version__
from jwks_server.config import Address, Loop, Settings, Timing, read_passphrase
from jwks_server.errors import ConfigError, JwksError
from jwks_server.keys.kinds import ED_ALGS, OPTIONAL_KINDS, RSA_ALGS, KidScheme
from jwks_server.keys.policy import Policy
from jwks_server.telemetry import LogFormat, logging_to_stderr

F = TypeVar("F", bound=Callable[..., None])

_EXIT_FAILED = 1
_EXIT_USAGE = 2
_YEAR_SECONDS = 365 * 86400


def _option(flag: str, **attributes: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own signature
    """Make an option that can also be set by its environment variable, JWKS_SERVER_ and its name."""
    variable = "JWKS_SERVER_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **attributes)


def _directory(_context: click.Context, _parameter: click.Parameter, value: str) -> Path:
    if not value:
        raise click.BadParameter("An empty DIR is no directory; write . for the current one.")
    return Path(value)


def _finite(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of seconds.")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="jwks-server")
def cli() -> None:
    """Publish a directory of PEM files as a JWK Set."""


@cli.command()
@click.argument("directory", metavar="DIR", envvar="JWKS_SERVER_DIR", callback=_directory)
@_option("--bind", multiple=True, default=["127.0.0.1:8080"], metavar="HOST:PORT", help="Listen here. Repeatable.")
@_option("--path", default="/.well-known/jwks.json", metavar="PATH", help="Serve the JWK Set here.")
@_option("--media-type", default="application/json", metavar="TYPE", help="The JWK Set's Content-Type.")
@_option(
    "--max-age", default=300, type=click.IntRange(0, _YEAR_SECONDS), metavar="SECONDS", help="How long caches keep it."
)
@_option(
    "--pattern", multiple=True, default=["*.pem", "tls.crt"], metavar="GLOB", help="Names of key files. Repeatable."
)
@_option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="FILE",
    help="Holds the passphrase of encrypted private keys.",
)
@_option("--kid", default="thumbprint", type=click.Choice(get_args(KidScheme)), help="How a key's kid is made.")
@_option("--rsa-alg", default="RS256", type=click.Choice(RSA_ALGS), help="The alg of RSA keys.")
@_option("--ed-alg", default="EdDSA", type=click.Choice(ED_ALGS), help="The alg of Edwards-curve keys.")
@_option("--allow", multiple=True, type=click.Choice(OPTIONAL_KINDS), help="Publish this kind of key too. Repeatable.")
@_option("--allow-empty", is_flag=True, help="Let a change through that leaves no key at all.")
@_option(
    "--rescan",
    default=1.0,
    type=click.FloatRange(0.01, 3600),
    callback=_finite,
    metavar="SECONDS",
    help="Look at the directory this often even without an event.",
)
@_option(
    "--settle",
    default=2.0,
    type=click.FloatRange(0, 3600),
    callback=_finite,
    metavar="SECONDS",
    help="How long a file that turned bad keeps its last good keys: it may be half written.",
)
@_option(
    "--retain",
    default=0,
    type=click.IntRange(0, _YEAR_SECONDS),
    metavar="SECONDS",
    help="How long a key stays published after its file vanished or was replaced.",
)
@_option(
    "--propagation",
    default=900.0,
    type=click.FloatRange(0, _YEAR_SECONDS),
    callback=_finite,
    metavar="SECONDS",
    help="How long the slowest verifier takes to see a new key, beyond max-age.",
)
@_option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Remembers first-published times and retiring keys across restarts.",
)
@_option("--loop", default="uvloop", type=click.Choice(get_args(Loop)), help="The event loop.")
@_option(
    "--no-fast-path", is_flag=True, help="Answer every request anew, to compare: the answers are the same, but slower."
)
@_option("--log-format", default="console", type=click.Choice(get_args(LogFormat)), help="For people or machines.")
@_option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="The least level."
)
def serve(  # noqa: PLR0913 - one parameter an option
    *,
    directory: Path,
    bind: tuple[str, ...],
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
    rescan: float,
    settle: float,
    retain: int,
    propagation: float,
    state: Path | None,
    loop: Loop,
    no_fast_path: bool,
    log_format: LogFormat,
    log_level: str,
) -> None:
    """Serve the keys in DIR and follow its changes, until SIGTERM."""
    settings = Settings(
        directory=directory,
        binds=tuple(Address.parse(text) for text in bind),
        path=path,
        media_type=media_type,
        patterns=pattern,
        passphrase_file=passphrase_file,
        passphrase=_passphrase(passphrase_file),
        policy=Policy(
            allow=frozenset(allow),
            kid=kid,
            rsa_alg=rsa_alg,
            ed_alg=ed_alg,
            max_age=max_age,
            retain=retain,
            allow_empty=allow_empty,
        ),
        timing=Timing(rescan, settle, propagation),
        state=state,
        loop=loop,
        fast_path=not no_fast_path,
    )
    from jwks_server import service  # noqa: PLC0415 - help and usage errors need no web server

    with logging_to_stderr(log_format, log_level):
        service.run(settings)


def _passphrase(path: Path | None) -> bytes | None:
    try:
        return read_passphrase(path) if path else None
    except OSError as exc:
        raise ConfigError(f"--passphrase-file {path} can't be read; mend its mode.") from exc


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 called wrongly."""
    try:
        cli.main(prog_name="jwks-server", standalone_mode=False)
    except click.Abort:
        sys.exit(0)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        sys.exit(_EXIT_USAGE)
    except click.ClickException as exc:
        _fail(ConfigError(" ".join(exc.format_message().split())))
    except JwksError as error:
        _fail(error)


def _fail(error: JwksError) -> None:
    click.echo(f"jwks-server: {error.message} [{error.code}]", err=True)
    sys.exit(_EXIT_USAGE if isinstance(error, ConfigError) else _EXIT_FAILED)
