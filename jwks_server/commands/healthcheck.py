"""healthcheck: whether a running server is ready. Imports little, since it is run every few seconds."""

import http.client
import os
import threading
from contextlib import closing
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

import click

from jwks_server.address import Address, parse_address
from jwks_server.errors import ConfigError, NotReady
from jwks_server.options.declare import finite

_ADMIN_BIND = "JWKS_SERVER_ADMIN_BIND"
_DEFAULT_BIND = "127.0.0.1:8081"
# Where a server that listens at every address of its machine is reached from there.
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked for, not bound
_EPILOG = """Exit code 0: ready. 1: not ready, or no answer in time. 2: the command is called wrongly."""


def _default_url() -> str:
    """Find the readiness of the server that is started with the same environment."""
    said = os.environ.get(_ADMIN_BIND) or _DEFAULT_BIND
    address = None if said == "off" else parse_address(said, _ADMIN_BIND)
    if not isinstance(address, Address) or not address.port:
        raise ConfigError(f"{_ADMIN_BIND}={said} names no port that can be asked; give --url.")
    return f"http://{replace(address, host=_HERE.get(address.host, address.host))}/readyz"


@click.command(name="healthcheck", epilog=_EPILOG)
@click.option(
    "--url",
    default=_default_url,
    envvar="JWKS_SERVER_URL",
    show_envvar=True,
    show_default=f"/readyz at {_ADMIN_BIND}, else at {_DEFAULT_BIND}",
    help="The server's readiness.",
)
@click.option(
    "--timeout",
    default=3.0,
    type=click.FloatRange(0, 3600, min_open=True),
    callback=finite,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take.",
)
def command(*, url: str, timeout: float) -> None:
    """Ask a running server whether it is ready."""
    target = _parse(url)
    outcome: list[str | int] = []
    # A peer that sends a byte now and then outlasts every socket timeout, but not this.
    asking = threading.Thread(target=lambda: outcome.append(_ask(target, timeout)), daemon=True)
    asking.start()
    asking.join(timeout)
    said = outcome[0] if outcome else f"no answer in {timeout:g} s"
    if said != http.client.OK:
        raise NotReady(f"{url} says {said}; see the server's log.")


def _parse(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        usable = False
    if not usable:
        shown = url.rpartition("@")[2]  # what stands before may be a password
        raise ConfigError(
            f"--url {shown} is no http URL without a user; write, for example, http://127.0.0.1:8081/readyz."
        )
    return parts


def _ask(url: SplitResult, timeout: float) -> str | int:
    """Return the status of the answer, or why there is none."""
    try:
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)) as connection:
            connection.request("GET", (url.path or "/") + (f"?{url.query}" if url.query else ""))
            return connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return str(exc) or type(exc).__name__
