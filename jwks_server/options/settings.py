"""The settings, parsed and validated once."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jwks_server.address import AnyAddress
from jwks_server.errors import ConfigError
from jwks_server.keys.metadata import OAUTH, OPENID
from jwks_server.keys.policy import Policy

Loop = Literal["uvloop", "asyncio"]

_PASSPHRASE_BYTES = 4096
# RFC 3986 section 3.3, without percent-encoding.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
# RFC 9110 section 8.3.1.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*")


def read_passphrase(path: Path) -> bytes:
    """Read a passphrase of up to 4096 bytes; a line end after it doesn't count.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        return file.read(_PASSPHRASE_BYTES).rstrip(b"\r\n")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds.

    Attributes:
        rescan: The time between two looks at the directory when there is no event.
        settle: How long a good file that turned bad keeps its last good keys.
        propagation: How long the slowest verifier takes to see a new key, beyond the set's max-age.
    """

    rescan: float = 1.0
    settle: float = 2.0
    propagation: float = 900.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do, and how long it may take. Times are in seconds, sizes in bytes.

    Attributes:
        max_connections: How many there are at once; 0 for as many as descriptors and memory allow.
        head_timeout: From the first byte of a request's head, or from the connection's begin, to its end.
        idle_timeout: Between two requests. Longer than a proxy before us keeps its connections idle (60 s is common),
            so that it is the one to close them.
        body_timeout: How long a body is read and thrown away, so that the reply isn't lost.
        write_timeout: How long a client may leave a reply unread.
        handshake_timeout: For a TLS handshake.
        max_head: A request's head.
        max_fields: Its fields.
        max_body: How much of a body is read and thrown away.
        backlog: How many connections wait in the kernel to be accepted. With the usual 128 the rest of a burst of
            clients tries again after a second.
    """

    max_connections: int
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
        admin: The admin listener's; none for no such listener.
        unix_mode: The mode of unix sockets.
        reuse_port: Whether several processes share a port.
        tls_cert: The certificate chain's file, for TLS on the public listener; None for none.
        tls_key: Its private key's file.
        drain: How long to go on after SIGTERM before the listeners are closed, in seconds.
        grace: How long to wait for the connections after that, in seconds.
        access_log: Whether each answer is logged.
    """

    public: tuple[AnyAddress, ...]
    admin: tuple[AnyAddress, ...] = ()
    unix_mode: int = 0o660
    reuse_port: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drain: float = 0.0
    grace: float = 10.0
    access_log: bool = False

    def __post_init__(self) -> None:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("--tls-cert and --tls-key go together; give both, or none.")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is published, and how it is served; a command that serves nothing needs only the former.

    Attributes:
        directory: Where the key files are; it may be missing.
        path: The JWK Set's path.
        media_type: The JWK Set's Content-Type.
        patterns: The shell patterns that key files' names match.
        passphrase_file: What holds the passphrase of encrypted private keys.
        passphrase: What it held at start; the file may be a pipe, which can be read only once.
        policy: The operator's decisions about the set, where ``jwks.toml`` says nothing.
        timing: How long things take.
        state: What is remembered across restarts; None for nothing.
        listening: Where and how to listen.
        limits: What clients may do.
        loop: The event loop.
        response_cache: Whether the response cache is used.

    Raises:
        ConfigError: A value is out of its bounds.
    """

    directory: Path
    path: str
    media_type: str
    patterns: tuple[str, ...]
    passphrase_file: Path | None
    passphrase: bytes | None = field(repr=False)
    policy: Policy
    timing: Timing
    state: Path | None
    listening: Listening = Listening(public=())
    limits: Limits = Limits(max_connections=1)
    loop: Loop = "uvloop"
    response_cache: bool = True

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or {".", ".."} & set(self.path.split("/")):
            raise ConfigError(f"--path {self.path} is not an absolute path of letters, digits and . _ ~ -; mend it.")
        if self.path.endswith((OPENID, OAUTH)) or f"{OAUTH}/" in self.path:
            raise ConfigError(f"--path {self.path} is where discovery documents are; choose another.")
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ConfigError(f"--media-type {self.media_type} is no media type; write, for example, application/json.")
        if unusable := [one for one in self.patterns if not one or "/" in one or one.startswith(".")]:
            raise ConfigError(f"--pattern {unusable[0]!r} can't match a key file; leave out slashes and leading dots.")
