"""The settings' bounds."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.config import Address, Settings, Timing
from jwks_server.errors import ConfigError
from jwks_server.keys.policy import Policy

GOOD: dict[str, Any] = {
    "directory": Path("keys"),
    "binds": (Address("127.0.0.1", 8080),),
    "path": "/.well-known/jwks.json",
    "media_type": "application/json",
    "patterns": ("*.pem",),
    "passphrase_file": None,
    "passphrase": None,
    "policy": Policy(),
    "timing": Timing(),
    "state": None,
}


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:0", "::1", 0),
        ("localhost:65535", "localhost", 65535),
        (":80", "", 80),
    ],
)
def test_address(text: str, host: str, port: int) -> None:
    """HOST:PORT and [IPV6]:PORT are read, and written back the same."""
    assert Address.parse(text) == Address(host, port)
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        "localhost",
        "localhost:",
        "::1:80",
        "[::1]",
        "a:65536",
        "a:-1",
        "a b:1",
        "[:::]:1",
        ".:1",
        "x" * 70 + ".com:1",
        "a:" + "9" * 5000,
        "a:\uff18",
        "a:b",
    ],
)
def test_no_address(text: str) -> None:
    """Anything else is told what to write instead."""
    with pytest.raises(ConfigError, match="HOST:PORT"):
        Address.parse(text)


@given(st.text(max_size=20))
def test_any_address(text: str) -> None:
    """Any text is an address or a coded error."""
    with suppress(ConfigError):
        assert Address.parse(str(Address.parse(text))) == Address.parse(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "keys"),
        ("path", "/"),
        ("path", "/a/"),
        ("path", "/{a}"),
        ("path", "/%20"),
        ("path", "/a?b"),
        ("path", "/../a"),
        ("media_type", "json"),
        ("media_type", "application/json\r\nX: y"),
        ("patterns", ("a/*.pem",)),
        ("patterns", (".*",)),
        ("patterns", ("",)),
    ],
)
def test_out_of_bounds(name: str, value: object) -> None:
    """A value that can't work is refused when the settings are made."""
    with pytest.raises(ConfigError, match=f"--{name.removesuffix('s').replace('_', '-')}"):
        Settings(**{**GOOD, name: value})


def test_good_settings() -> None:
    """The defaults are within their bounds."""
    assert Settings(**GOOD).path == "/.well-known/jwks.json"
