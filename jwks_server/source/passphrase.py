"""The passphrase of encrypted private keys, read from its file."""

from pathlib import Path

from jwks_server.errors import ConfigError

_MAX_BYTES = 4096


def read_passphrase(path: Path) -> bytes:
    """Read a passphrase of up to 4096 bytes; a line end after it doesn't belong to it.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        return file.read(_MAX_BYTES).rstrip(b"\r\n")


def passphrase(path: Path | None) -> bytes | None:
    """Read the passphrase when the program starts; None where no file is named.

    Raises:
        ConfigError: The file can't be read.
    """
    try:
        return read_passphrase(path) if path else None
    except OSError as exc:
        raise ConfigError(f"--passphrase-file {path} can't be read; change its mode.") from exc
