"""The table of options. Each is declared here once; options of a single command are declared beside that command."""

from pathlib import Path
from typing import get_args

import click

from jwks_server.keys.kinds import ED_ALGS, OPTIONAL_KINDS, RSA_ALGS, KidScheme
from jwks_server.keys.policy import MAX_SECONDS
from jwks_server.options.option import Group, Mode, Network, Option, Seconds, Whole
from jwks_server.options.settings import Loop

DIRECTORY_VARIABLE = "JWKS_SERVER_DIR"

_FILE = click.Path(dir_okay=False, path_type=Path)
_READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_SECONDS = Seconds(0, MAX_SECONDS)
_TIMEOUT = Seconds(0.01, MAX_SECONDS)
_WHOLE_SECONDS = Whole(0, MAX_SECONDS)
_TEXT = click.STRING


def _seconds(flag: str, group: Group, default: float, text: str, values: Seconds = _SECONDS) -> Option:
    return Option(flag, group, text, values, default, metavar="SECONDS")


def _number(flag: str, default: int, values: Whole, metavar: str, text: str) -> Option:
    return Option(flag, Group.LIMITS, text, values, default, metavar=metavar)


def _switch(flag: str, group: Group, text: str) -> Option:
    return Option(flag, group, text)


def _one_of(  # noqa: PLR0913 - all that differs
    flag: str, group: Group, choices: tuple[str, ...], default: str, text: str, *, any_case: bool = False
) -> Option:
    values = click.Choice(choices, case_sensitive=not any_case)
    return Option(flag, group, text, values, default, metavar=flag.rpartition("-")[2].upper())


PASSPHRASE_FILE = Option(
    "--passphrase-file",
    Group.FILES,
    "Read the passphrase of encrypted private keys from this file.",
    _READABLE,
    metavar="FILE",
)
PROPAGATION = _seconds(
    "--propagation",
    Group.ROTATION,
    900.0,
    "How long the slowest verifier takes to see a new key after --max-age is over.",
)
ADMIN_BIND = Option(
    "--admin-bind",
    Group.LISTENERS,
    "Serve probes, metrics and status at this address. The value off turns the admin listener off.",
    _TEXT,
    "127.0.0.1:8081",
    metavar="ADDRESS",
)
ADMIN_HOST = Option(
    "--admin-host",
    Group.LISTENERS,
    "Answer on the admin listener under this host name too, besides IP addresses and localhost. Can be repeated.",
    _TEXT,
    metavar="NAME",
    repeatable=True,
)
BIND = Option(
    "--bind",
    Group.LISTENERS,
    "Listen at HOST:PORT, [IPV6]:PORT (port 0 takes any free port), unix:PATH or fd:N. Sockets from systemd are "
    "used too, and replace the default. Can be repeated.",
    _TEXT,
    "127.0.0.1:8080",
    metavar="ADDRESS",
    repeatable=True,
)
URL = Option(
    "--url",
    Group.COMMAND,
    "The URL of the server's readiness probe.",
    _TEXT,
    default_text=f"/readyz at {ADMIN_BIND.variable}, or at {ADMIN_BIND.default}",
    metavar="URL",
)
JSON = Option("--json", Group.COMMAND, "Print JSON instead of text.", has_variable=False, parameter="as_json")

KEY_OPTIONS = (
    Option(
        "--pattern",
        Group.FILES,
        "Read files whose names match this shell pattern. Can be repeated.",
        _TEXT,
        "*.pem tls.crt *.json *.jwk *.jwks",
        metavar="GLOB",
        repeatable=True,
    ),
    PASSPHRASE_FILE,
    Option(
        "--path",
        Group.SET,
        "The URL path of the JWK Set, below the issuer's own path.",
        _TEXT,
        "/.well-known/jwks.json",
        metavar="PATH",
    ),
    Option("--media-type", Group.SET, "The Content-Type of the JWK Set.", _TEXT, "application/json", metavar="TYPE"),
    Option(
        "--max-age", Group.SET, "How long caches may keep the JWK Set.", _WHOLE_SECONDS, default=300, metavar="SECONDS"
    ),
    Option(
        "--kid",
        Group.SET,
        "How a key's kid is made: its RFC 7638 thumbprint, the SHA-256 of its SubjectPublicKeyInfo as in Kubernetes, "
        "or the file's name without its extension.",
        click.Choice(get_args(KidScheme)),
        "thumbprint",
        metavar="SCHEME",
    ),
    _one_of("--rsa-alg", Group.SET, RSA_ALGS, "RS256", "The alg of RSA keys."),
    _one_of(
        "--ed-alg",
        Group.SET,
        ED_ALGS,
        "EdDSA",
        "The alg of Ed25519 and Ed448 keys. With Ed25519, each kind gets its own name (RFC 9864).",
    ),
    Option(
        "--allow",
        Group.SET,
        "Publish keys of this kind too, although some clients can't read them. Can be repeated.",
        click.Choice(OPTIONAL_KINDS),
        metavar="KIND",
        repeatable=True,
    ),
    _switch("--allow-empty", Group.SET, "Publish a set without keys if a change leaves none."),
    Option(
        "--retain",
        Group.ROTATION,
        "How long a key stays published after its file is removed or replaced.",
        _WHOLE_SECONDS,
        default=0,
        metavar="SECONDS",
    ),
    PROPAGATION,
    Option(
        "--state",
        Group.ROTATION,
        "Keep the times of first publication and the retiring keys in this file, so that a restart doesn't lose them.",
        _FILE,
        metavar="FILE",
    ),
)

SERVER_OPTIONS = (
    _seconds(
        "--rescan",
        Group.FILES,
        1.0,
        "How often to read the directory when there is no event; with many files, less often.",
        Seconds(0.01, 3600),
    ),
    _seconds(
        "--grace-period",
        Group.FILES,
        2.0,
        "How long a file that turned bad keeps its last good keys. It may be half written.",
        Seconds(0, 3600),
    ),
    BIND,
    ADMIN_BIND,
    ADMIN_HOST,
    _switch(
        "--metrics-per-issuer",
        Group.LISTENERS,
        "Give metrics of each issuer and key. Without it, metrics have totals, and name issuers that need attention.",
    ),
    Option("--unix-mode", Group.LISTENERS, "The mode of unix sockets, in octal.", Mode(), "660", metavar="MODE"),
    _switch("--reuse-port", Group.LISTENERS, "Let several processes listen at the same port."),
    Option(
        "--tls-cert",
        Group.LISTENERS,
        "Serve TLS 1.2 and 1.3 on the public listener, with the certificate chain in this file. The file is followed "
        "like the keys.",
        _FILE,
        metavar="FILE",
    ),
    Option("--tls-key", Group.LISTENERS, "The file of the certificate's private key.", _FILE, metavar="FILE"),
    Option(
        "--max-connections",
        Group.LIMITS,
        "How many public connections may be open at once.",
        Whole(1),
        default_text="as many as memory and file descriptors allow, at most 50000",
        metavar="NUMBER",
    ),
    _seconds("--head-timeout", Group.LIMITS, 10.0, "How long a client may take to send a request's head.", _TIMEOUT),
    _seconds("--idle-timeout", Group.LIMITS, 75.0, "How long a connection may wait for the next request.", _TIMEOUT),
    _seconds("--body-timeout", Group.LIMITS, 5.0, "How long a request's body is read and discarded.", _TIMEOUT),
    _seconds("--write-timeout", Group.LIMITS, 20.0, "How long a client may leave a reply unread.", _TIMEOUT),
    _seconds("--handshake-timeout", Group.LIMITS, 10.0, "How long a TLS handshake may take.", _TIMEOUT),
    _number("--max-head", 16384, Whole(4096, 2**20), "BYTES", "The largest request head."),
    _number("--max-fields", 100, Whole(64, 10000), "NUMBER", "The most header fields in a request."),
    _number("--max-body", 65536, Whole(0, 2**30), "BYTES", "How much of a request's body is discarded."),
    _number("--backlog", 4096, Whole(1, 65535), "NUMBER", "How many new connections the kernel queues."),
    _seconds("--drain", Group.SHUTDOWN, 0.0, "How long to accept connections after SIGTERM."),
    _seconds(
        "--shutdown-timeout",
        Group.SHUTDOWN,
        10.0,
        "How long to wait for open connections after the listeners are closed.",
    ),
    _switch("--access-log", Group.LOGGING, "Log each reply."),
    Option(
        "--trusted-proxy",
        Group.LOGGING,
        "In the access log, believe this proxy's X-Forwarded-For or Forwarded field. An address, a network, or unix "
        "for unix sockets. Can be repeated.",
        Network(),
        metavar="CIDR",
        repeatable=True,
    ),
    _one_of(
        "--log-format", Group.LOGGING, ("console", "json"), "console", "Log text for people, or JSON for machines."
    ),
    _one_of(
        "--log-level",
        Group.LOGGING,
        ("debug", "info", "warning", "error"),
        "info",
        "The least severe level that is logged.",
        any_case=True,
    ),
    _one_of("--loop", Group.INTERNALS, get_args(Loop), "uvloop", "The event loop."),
    _switch(
        "--no-response-cache",
        Group.INTERNALS,
        "Let aiohttp answer every request, without the response cache. The replies are the same, but slower.",
    ),
)
SERVE = (*KEY_OPTIONS, *SERVER_OPTIONS)
VARIABLES = frozenset({DIRECTORY_VARIABLE, *(one.variable for one in (*SERVE, URL) if one.variable)})
