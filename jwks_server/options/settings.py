"""The settings: read and checked once, then passed to what needs them."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, Literal

from jwks_server.address import AnyAddress
from jwks_server.errors import ConfigError
from jwks_server.keys.metadata import OAUTH, OPENID
from jwks_server.keys.policy import Policy

Loop = Literal["uvloop", "asyncio"]
# The peers of a unix socket have no address.
UNIX: Final = "unix"
Proxies = tuple[IPv4Network | IPv6Network | Literal["unix"], ...]

# RFC 3986 section 3.3, without percent-encoding.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
# RFC 9110 section 8.3.1.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*")
# fnmatch's: a closing bracket that comes first stands for itself.
_CLASS = re.compile(r"\[!?(\]?[^\]]*)\]")
_RANGE = re.compile(r".-.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Timing:
    """Times about keys and their files, in seconds.

    Attributes:
        rescan: The time between two reads of the directory when there is no event.
        grace_period: How long a file that turned bad keeps its last good keys.
        propagation: How long the slowest verifier takes to see a new key, after the set's max-age.
    """

    rescan: float = 1.0
    grace_period: float = 2.0
    propagation: float = 900.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for clients. Times are in seconds, sizes in bytes.

    Attributes:
        max_connections: How many connections may be open at once; 0 for as many as memory and file descriptors
            allow, which ``serve`` finds out.
        head_timeout: From the first byte of a request's head, or from the start of the connection, to the end of the
            head.
        idle_timeout: Between two requests. It is longer than proxies usually keep connections idle (60 s), so that
            the proxy closes them and never sends a request into a closed connection.
        body_timeout: How long a body is read and discarded, so that the client can read the reply.
        write_timeout: How long a client may leave a reply unread.
        handshake_timeout: For a TLS handshake.
        max_head: The size of a request's head.
        max_fields: The number of its fields.
        max_body: How much of a body is read and discarded.
        backlog: How many new connections the kernel queues. With the usual 128, clients of a larger burst try again
            only after a second.
    """

    max_connections: int = 0
    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    body_timeout: float = 5.0
    write_timeout: float = 20.0
    handshake_timeout: float = 10.0
    max_head: int = 16 * 1024
    max_fields: int = 100
    max_body: int = 64 * 1024
    backlog: int = 4096

    @property
    def shortest(self) -> float:
        """The shortest of the times."""
        return min(self.head_timeout, self.idle_timeout, self.body_timeout, self.write_timeout, self.handshake_timeout)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how to listen.

    Attributes:
        public: The public listener's addresses.
        admin: The admin listener's addresses; empty for no admin listener.
        admin_hosts: The host names, besides localhost, under which the admin listener answers.
        metrics_per_issuer: Whether the metrics say everything of each issuer.
        unix_mode: The mode of unix sockets.
        reuse_port: Whether several processes share a port.
        tls_cert: The file of the certificate chain, for TLS on the public listener; None for no TLS.
        tls_key: The file of its private key.
        drain: How long to accept connections after SIGTERM, in seconds.
        shutdown_timeout: How long to wait for open connections after that, in seconds.
        access_log: Whether each reply is logged.
        trusted_proxies: The networks, or ``UNIX``, of the proxies that are believed about a
            client's address in the log.

    Raises:
        ConfigError: There is a certificate without a key, or a key without a certificate.
    """

    public: tuple[AnyAddress, ...]
    admin: tuple[AnyAddress, ...] = ()
    admin_hosts: tuple[str, ...] = ()
    metrics_per_issuer: bool = False
    unix_mode: int = 0o660
    reuse_port: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drain: float = 0.0
    shutdown_timeout: float = 10.0
    access_log: bool = False
    trusted_proxies: Proxies = ()

    def __post_init__(self) -> None:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("--tls-cert and --tls-key go together; give both, or neither.")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is published, and how it is served; a command that serves nothing needs only the first part.

    Attributes:
        directory: The key directory; it may be missing.
        path: The JWK Set's path.
        media_type: The JWK Set's Content-Type.
        patterns: The shell patterns that key files' names match.
        passphrase_file: The file with the passphrase of encrypted private keys.
        passphrase: What was read from that file at the start. It may be a pipe, which can be read only once.
        policy: The operator's decisions about the set, where ``jwks.toml`` doesn't make them.
        timing: Times about keys and their files.
        state: The file that keeps what must survive a restart; None for no such file.
        listening: Where and how to listen.
        limits: Limits for clients.
        loop: The event loop.
        response_cache: Whether the response cache answers the requests that it knows.

    Raises:
        ConfigError: A value can't be used.
    """

    directory: Path
    path: str
    media_type: str
    patterns: tuple[str, ...]
    policy: Policy = field(default_factory=Policy)
    timing: Timing = Timing()
    passphrase_file: Path | None = None
    passphrase: bytes | None = field(default=None, repr=False)
    state: Path | None = None
    listening: Listening = Listening(public=())
    limits: Limits = Limits()
    loop: Loop = "uvloop"
    response_cache: bool = True

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or {".", ".."} & set(self.path.split("/")):
            raise ConfigError(
                f"--path {self.path} is not an absolute path of letters, digits and . _ ~ -; choose another."
            )
        if self.path.endswith((OPENID, OAUTH)) or f"{OAUTH}/" in self.path:
            raise ConfigError(f"--path {self.path} is the path of a discovery document; choose another.")
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ConfigError(
                f"--media-type {self.media_type} is not a media type; write, for example, application/json."
            )
        if unusable := [one for one in self.patterns if not one or "/" in one or one.startswith(".")]:
            raise ConfigError(
                f"--pattern {unusable[0]!r} can't match a key file; remove slashes and the dot at its start."
            )
        for pattern in self.patterns:
            for found in _CLASS.findall(pattern):
                if reverse := [one for one in _RANGE.findall(found) if one[0] > one[-1]]:
                    raise ConfigError(f"--pattern {pattern!r} has the range {reverse[0]}, which holds no character.")
