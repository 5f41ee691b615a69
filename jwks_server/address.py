"""Addresses to listen at: HOST:PORT, a unix socket's path, or the number of an open socket."""

from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from jwks_server.errors import ConfigError

_MAX_PORT = 65535
_PORT_DIGITS = 5
_MAX_UNIX_PATH_BYTES = 107  # unix(7)


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address; port 0 takes any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket. It is made at the start and removed at the end."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A listening socket that was open when this process started."""

    number: int

    def __str__(self) -> str:
        return f"fd:{self.number}"


AnyAddress = Address | UnixAddress | Descriptor


def parse_address(text: str, flag: str = "--bind") -> AnyAddress:
    """Read ``HOST:PORT``, ``[IPV6]:PORT``, ``unix:PATH`` or ``fd:N``.

    Raises:
        ConfigError: The text is not an address; the message names the flag.
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
        raise ConfigError(f"{flag} {text} is not HOST:PORT, [IPV6]:PORT, unix:PATH or fd:N; correct it.")
    return Address(host.strip("[]"), int(port))


def _is_host(text: str) -> bool:
    """Return whether a text can be an address or a name; an empty text means every address of the machine."""
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
