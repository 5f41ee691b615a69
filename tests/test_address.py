"""Addresses to listen at."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.address import Address, Descriptor, UnixAddress, parse_address
from jwks_server.errors import ConfigError


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
    assert parse_address(text) == Address(host, port)
    assert str(parse_address(text)) == text


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
        "unix:",
        "unix:" + "x" * 108,
        "fd:",
        "fd:x",
        "fd:\uff18",
    ],
)
def test_no_address(text: str) -> None:
    """Any other text is refused with what to write instead."""
    with pytest.raises(ConfigError, match="--bind"):
        parse_address(text)


@given(st.text(max_size=20))
def test_any_address(text: str) -> None:
    """Any text is an address or a coded error."""
    with suppress(ConfigError):
        assert parse_address(str(parse_address(text))) == parse_address(text)


def test_other_addresses() -> None:
    """unix:PATH and fd:N are read, and written back the same."""
    assert parse_address("unix:/run/a.sock") == UnixAddress(Path("/run/a.sock"))
    assert parse_address("fd:3") == Descriptor(3)
    for text in ("unix:/run/a.sock", "fd:3"):
        assert str(parse_address(text)) == text


def test_flag_is_named() -> None:
    """The message names the flag that was given."""
    with pytest.raises(ConfigError, match="--admin-bind"):
        parse_address("x", "--admin-bind")
