"""From the command line to the settings: what doesn't follow from one option alone."""

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jwks_server.address import Address, Descriptor
from jwks_server.errors import ConfigError
from jwks_server.options.command_line import changed, serve_options
from jwks_server.options.settings import Settings
from jwks_server.options.table import ADMIN_BIND, SERVE


def settings_of(*arguments: str, **environment: str) -> Settings:
    """Read the server's command line."""
    got: list[Settings] = []

    @click.command()
    @serve_options
    def command(*, settings: Settings, **_of_log: object) -> None:
        got.append(settings)

    CliRunner().invoke(command, arguments, env=environment, catch_exceptions=False)
    return got[0]


def changed_by(*arguments: str, **environment: str) -> str:
    """Write the options that differ from their defaults."""
    got: list[str] = []

    @click.command()
    @serve_options
    def command(**_given: object) -> None:
        got.append(changed(SERVE))

    default = {str(ADMIN_BIND.variable): None}  # the tests switch it off
    CliRunner().invoke(command, arguments, env={**default, **environment}, catch_exceptions=False)
    return got[0]


def test_what_differs_from_the_defaults(tmp_path: Path) -> None:
    """Options that differ are listed as on a command line, wherever they came from; others are not."""
    assert changed_by() == ""
    assert changed_by("--max-age", "300", "--rescan", "1", "--unix-mode", "0660", "--pattern", "*.pem tls.crt") == (
        "--pattern '*.pem tls.crt'"
    )
    (tmp_path / "phrase").write_text("secret")
    given = ("--retain", "7", "--access-log", "--unix-mode", "600", "--passphrase-file", str(tmp_path / "phrase"))
    assert changed_by(*given, JWKS_SERVER_BIND="127.0.0.1:1 unix:/a") == (
        f"--passphrase-file {tmp_path}/phrase --retain 7 --bind 127.0.0.1:1 --bind unix:/a --unix-mode 600 --access-log"
    )


def test_sockets_from_systemd() -> None:
    """Sockets from systemd replace the default addresses, and are added to those that are given."""
    passed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"}
    listening = settings_of(**passed).listening
    assert (listening.public, listening.admin) == ((Descriptor(3),), (Descriptor(4),))
    listening = settings_of("--bind", "127.0.0.1:1", **passed).listening
    assert (listening.public, listening.admin) == ((Descriptor(3), Address("127.0.0.1", 1)), (Descriptor(4),))


def test_no_admin_listener() -> None:
    """The value off turns the admin listener off."""
    assert settings_of("--admin-bind", "off").listening.admin == ()


@pytest.mark.parametrize("flag", ["--bind", "--admin-bind"])
def test_an_address_is_named_by_its_flag(flag: str) -> None:
    """An address that can't be used is an error with the flag's name."""
    with pytest.raises(ConfigError, match=f"^{flag} nowhere"):
        settings_of(flag, "nowhere")
