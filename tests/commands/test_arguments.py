"""The arguments that commands have in common."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support import run

from jwks_server.commands.arguments import Command, directory_argument, json_option, key_options
from jwks_server.options.settings import Settings


def test_passphrase_is_read(tmp_path: Path) -> None:
    """The settings hold the passphrase from its file, and the directory; the repr doesn't show the passphrase."""
    (tmp_path / "file").write_bytes(b"secret\n")
    got: list[Settings] = []

    @click.command(cls=Command)
    @directory_argument
    @key_options
    @json_option
    def command(*, settings: Settings, as_json: bool) -> None:
        assert as_json
        got.append(settings)

    arguments = ["keys", "--passphrase-file", str(tmp_path / "file"), "--json"]
    CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert (got[0].passphrase, got[0].directory) == (b"secret", Path("keys"))
    assert "secret" not in repr(got[0])


@pytest.mark.parametrize("name", ["check", "diff", "inspect", "render", "verify"])
def test_commands_group_their_options(name: str) -> None:
    """Each command about keys lists the options under the server's headings."""
    output = run(name, "--help").stdout
    for heading in ("Key files:", "JWK Set:", "Rotation:", "This command:"):
        assert f"\n{heading}\n" in output
