"""healthcheck: is a running server ready? It imports little, since it runs every few seconds."""

import http.client
import os
import threading
from contextlib import closing
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

import click

from jwks_server.address import Address, parse_address
from jwks_server.errors import ConfigError, NotReady
from jwks_server.options.command_line import with_options
from jwks_server.options.help import Command
from jwks_server.options.option import Group, Option, Seconds
from jwks_server.options.table import ADMIN_BIND, URL
from jwks_server.text import reason

# A server that listens at every address of the machine is reached at the loopback address.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - connected to, not bound
_TIMEOUT = Option(
    "--timeout",
    Group.COMMAND,
    "How long to wait for the reply.",
    Seconds(0, 3600, min_open=True),
    3.0,
    metavar="SECONDS",
    has_variable=False,
)
_EXITS = {
    0: "The server is ready.",
    1: "The server is not ready, or did not reply in time.",
    2: "The command is called wrongly.",
}


def _default_url() -> str:
    """Find the readiness probe of the server that runs with the same environment."""
    variable = str(ADMIN_BIND.variable)
    value = os.environ.get(variable, str(ADMIN_BIND.default))
    if not value.strip():
        raise ConfigError(f"The environment variable {variable} is empty; give it a value, or unset it.")
    address = None if value == "off" else parse_address(value, variable)
    if not isinstance(address, Address) or not address.port:
        raise ConfigError(f"{variable}={value} is not an address to connect to; give --url.")
    return f"http://{replace(address, host=_LOOPBACK.get(address.host, address.host))}/readyz"


@click.command(name="healthcheck", cls=Command, exits=_EXITS)
@with_options(URL, _TIMEOUT)
def command(*, url: str | None, timeout: float) -> None:
    """Check whether a running server is ready."""
    url = url or _default_url()
    target = _parse(url)
    outcome: list[str | int] = []
    # A socket's timeout starts again with each byte that arrives. The thread ends the wait in any case.
    asking = threading.Thread(target=lambda: outcome.append(_ask(target, timeout)), daemon=True)
    asking.start()
    asking.join(timeout)
    result = outcome[0] if outcome else f"no reply in {timeout:g} s"
    if result != http.client.OK:
        raise NotReady(f"{url} is not ready: {result}; see the server's log.")


def _parse(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "http" and parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        usable = False
    if not usable:
        shown = url.rpartition("@")[2]  # the part before it may be a password
        raise ConfigError(
            f"--url {shown} is not an http URL without a user; write, for example, http://127.0.0.1:8081/readyz."
        )
    return parts


def _ask(url: SplitResult, timeout: float) -> str | int:
    """Return the status of the reply, or the reason why there is no reply."""
    try:
        with closing(http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)) as connection:
            connection.request("GET", (url.path or "/") + (f"?{url.query}" if url.query else ""))
            return connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return (reason(exc) if isinstance(exc, OSError) else str(exc)) or type(exc).__name__
