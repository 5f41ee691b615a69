"""The passphrase of encrypted private keys."""

from pathlib import Path

import pytest

from jwks_server.errors import ConfigError
from jwks_server.source.passphrase import passphrase


@pytest.mark.parametrize("data", [b"secret", b"secret\n", b"secret\r\n"])
def test_line_end(tmp_path: Path, data: bytes) -> None:
    """A line end after the passphrase doesn't belong to it."""
    (tmp_path / "file").write_bytes(data)
    assert passphrase(tmp_path / "file") == b"secret"


def test_no_file(tmp_path: Path) -> None:
    """Without a file there is no passphrase; a file that can't be read is an error that names the flag."""
    assert passphrase(None) is None
    with pytest.raises(ConfigError, match="--passphrase-file"):
        passphrase(tmp_path / "missing")


def test_size(tmp_path: Path) -> None:
    """No more than 4096 bytes are read."""
    (tmp_path / "file").write_bytes(b"x" * 5000)
    assert passphrase(tmp_path / "file") == b"x" * 4096
