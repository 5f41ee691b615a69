"""verify TOKEN SOURCE...: which published key verifies a token, or exactly why no key does."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from jwks_server.commands import output
from jwks_server.commands.arguments import Argument, Command, Folder, json_option, key_options
from jwks_server.commands.judged import Found, accepted, judge, refused
from jwks_server.errors import ConfigError, KeyNotVisible, KidUnknown, TokenRefused
from jwks_server.options.settings import Settings
from jwks_server.remote import client
from jwks_server.remote.tokens import Token, parse, verifying_key
from jwks_server.source.issuers import evaluated

_STDIN = "-"
_MAX_TOKEN_BYTES = 64 * 1024
_EPILOG = """A SOURCE is a key directory, or the URL of a JWK Set. Given both, a key that the directory publishes and
the URL doesn't serve yet is told from one that is unknown. Each issuer of a directory is checked separately, and named
if it has the key. Only the signature is checked, no claim. TOKEN - reads the token from standard input, which keeps it
out of the list of processes."""
_EXITS = {
    0: "Each source has the key that verifies the token.",
    1: "A source doesn't have it, or publishes nothing.",
    2: "There is no answer: the token is malformed, a source can't be read, or the command is called wrongly.",
}


@click.command(name="verify", cls=Command, epilog=_EPILOG, exits=_EXITS)
@click.argument("token", cls=Argument, metavar="TOKEN")
@click.argument("sources", cls=Argument, type=Folder(), metavar="SOURCE...", nargs=-1, required=True)
@key_options
@json_option
def command(*, token: str, sources: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Find the published key that verifies TOKEN."""
    parsed = parse(_standard_input() if token == _STDIN else token)
    found = [one for source in sources for one in _asked(source, parsed, settings)]
    if any(one.verified for one in found):
        found = [_visible(one) for one in found]
    if as_json:
        output.document({"alg": parsed.alg, "kid": parsed.kid, "sources": [asdict(one) for one in found]})
    else:
        output.table(
            ("SOURCE", "ISSUER", "RESULT", "KID", "FILE"),
            [(one.source, one.issuer or "", one.code, one.kid or "", one.file or "", one.reason) for one in found],
            notes=True,
        )
    sys.exit(0 if all(one.verified for one in found) else 1)


def _standard_input() -> str:
    try:
        if sys.stdin is not None:  # as with <&-
            return sys.stdin.buffer.read(_MAX_TOKEN_BYTES).decode("ascii", "replace")
    except OSError:  # open for writing only
        pass
    raise ConfigError("TOKEN - reads standard input, which is closed or can't be read; pipe the token into it.")


def _asked(source: str, token: Token, settings: Settings) -> Sequence[Found]:
    """Check one source; return its rows of the answer."""
    if "://" in source:
        return [_at_url(source, token)]
    directory = replace(settings, directory=Path(source))
    return judge(source, token, evaluated(directory))


def _visible(found: Found) -> Found:
    """If another source verifies the token, an unknown kid at a URL is a key that isn't visible there yet."""
    if found.code != KidUnknown.code or "://" not in found.source:
        return found
    reason = found.reason.replace("No key has the kid", "The key is published, but not served here yet:", 1)
    return replace(found, code=KeyNotVisible.code, reason=reason)


def _at_url(url: str, token: Token) -> Found:
    answer = client.get(url)
    try:
        return accepted(url, verifying_key(token, answer.keys()))
    except TokenRefused as error:
        found = refused(url, token, error)
    if found.code == KidUnknown.code and answer.age:
        left = max(0, answer.max_age - answer.age)
        return replace(
            found, reason=f"{found.reason} The answer is {answer.age} s old; the cache asks again in {left} s."
        )
    return found
