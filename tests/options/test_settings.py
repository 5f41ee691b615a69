"""The settings and the values that they refuse."""

from pathlib import Path
from typing import Any

import pytest

from jwks_server.address import Address
from jwks_server.errors import ConfigError
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Limits, Listening, Settings, Timing

GOOD: dict[str, Any] = {
    "directory": Path("keys"),
    "listening": Listening(public=(Address("127.0.0.1", 8080),)),
    "limits": Limits(max_connections=100),
    "path": "/.well-known/jwks.json",
    "media_type": "application/json",
    "patterns": ("*.pem",),
    "passphrase_file": None,
    "policy": Policy(),
    "timing": Timing(),
    "state": None,
}


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
        ("path", "/.well-known/openid-configuration"),
        ("path", "/.well-known/oauth-authorization-server/a"),
        ("media_type", "json"),
        ("media_type", "application/json\r\nX: y"),
        ("patterns", ("a/*.pem",)),
        ("patterns", (".*",)),
        ("patterns", ("",)),
    ],
)
def test_out_of_bounds(name: str, value: object) -> None:
    """A value that can't be used is refused, by its flag."""
    with pytest.raises(ConfigError, match=f"--{name.removesuffix('s').replace('_', '-')}"):
        Settings(**{**GOOD, name: value})


def test_certificate_without_its_key() -> None:
    """A certificate without a key is refused, and so is a key without a certificate."""
    with pytest.raises(ConfigError, match="go together"):
        Listening(public=(), tls_cert=Path("a"))
    with pytest.raises(ConfigError, match="go together"):
        Listening(public=(), tls_key=Path("a"))


def test_good_settings() -> None:
    """The defaults are within their bounds."""
    assert Settings(**GOOD).path == "/.well-known/jwks.json"
