"""The settings, parsed and validated once."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Literal

from jwks_server.errors import ConfigError
from jwks_server.keys.policy import Policy

Loop = Literal["uvloop", "asyncio"]

_MAX_PORT = 65535
_PORT_DIGITS = 5
_PASSPHRASE_BYTES = 4096
# RFC 3986 section 3.3, without percent-encoding.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
# RFC 9110 section 8.3.1.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(?:; ?[A-Za-z0-9-]+=[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 is any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``HOST:PORT`` or ``[IPV6]:PORT``.

        Raises:
            ConfigError: The text is neither.
        """
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        is_port = port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and int(port) <= _MAX_PORT
        if not colon or not is_port or not _is_host(host.strip("[]")) or (":" in host) != bracketed:
            raise ConfigError(f"--bind {text} is not HOST:PORT or [IPV6]:PORT; write, for example, 127.0.0.1:8080.")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _is_host(text: str) -> bool:
    """Tell whether a text can be an address or a name; empty is every address of the machine."""
    if ":" in text:
        try:
            IPv6Address(text)
        except ValueError:
            return False
        return True
    try:
        return not text or (text.isprintable() and " " not in text and bool(text.encode("idna")))
    except UnicodeError:
        return False


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
        binds: Where to listen.
        loop: The event loop.
        fast_path: Whether requests that were answered before get finished bytes.

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
    binds: tuple[Address, ...] = ()
    loop: Loop = "uvloop"
    fast_path: bool = True

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or {".", ".."} & set(self.path.split("/")):
            raise ConfigError(f"--path {self.path} is not an absolute path of letters, digits and . _ ~ -; mend it.")
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ConfigError(f"--media-type {self.media_type} is no media type; write, for example, application/json.")
        if unusable := [one for one in self.patterns if not one or "/" in one or one.startswith(".")]:
            raise ConfigError(f"--pattern {unusable[0]!r} can't match a key file; leave out slashes and leading dots.")
