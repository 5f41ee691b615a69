"""Where to listen: HOST:PORT, a unix socket's path, or a descriptor that was handed down."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from jwks_server.errors import ConfigError

_MAX_PORT = 65535
_FIRST_DESCRIPTOR = 3
_PORT_DIGITS = 5
_MAX_UNIX_PATH_BYTES = 107  # unix(7)


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket, made at start and removed at the end."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A listening socket that this process was started with."""

    number: int

    def __str__(self) -> str:
        return f"fd:{self.number}"


AnyAddress = Address | UnixAddress | Descriptor


def parse_address(text: str, flag: str = "--bind") -> AnyAddress:
    """Read ``HOST:PORT``, ``[IPV6]:PORT``, ``unix:PATH`` or ``fd:N``.

    Raises:
        ConfigError: The text is none of them; the message names the flag.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix":
        if not rest or len(rest.encode("utf-8", "surrogateescape")) > _MAX_UNIX_PATH_BYTES or "\0" in rest:
            raise ConfigError(f"{flag} {text} is not unix:PATH with a path of up to {_MAX_UNIX_PATH_BYTES} bytes.")
        return UnixAddress(Path(rest))
    if kind == "fd":
        if not (rest.isascii() and rest.isdigit() and len(rest) <= _PORT_DIGITS):
            raise ConfigError(f"{flag} {text} is not fd:N with the number of a listening socket.")
        return Descriptor(int(rest))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    is_port = port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and int(port) <= _MAX_PORT
    if not colon or not is_port or not _is_host(host.strip("[]")) or (":" in host) != bracketed:
        raise ConfigError(f"{flag} {text} is not HOST:PORT, [IPV6]:PORT, unix:PATH or fd:N; mend it.")
    return Address(host.strip("[]"), int(port))


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


def handed_down(environment: Mapping[str, str], pid: int) -> tuple[tuple[str, Descriptor], ...]:
    """List the sockets that systemd started this process with, each with its name (sd_listen_fds(3)).

    Raises:
        ConfigError: What is said of them makes no sense.
    """
    if environment.get("LISTEN_PID") != str(pid):
        return ()
    listed = environment.get("LISTEN_FDS", "0")
    if not (listed.isascii() and listed.isdigit() and len(listed) <= _PORT_DIGITS):
        raise ConfigError(f"LISTEN_FDS={listed} is no number of sockets; start the program through systemd.")
    number = int(listed)
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * number
    return tuple((names[index], Descriptor(_FIRST_DESCRIPTOR + index)) for index in range(number))
