"""The table of options, and what follows from it: the chart's schema, the settings' defaults."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from option_docs import helm_settings
from support import ROOT, run

from jwks_server.cli import cli
from jwks_server.errors import PolicyInvalid
from jwks_server.keys.policy import MAX_SECONDS, Policy, parse
from jwks_server.options.command_line import key_options, serve_options
from jwks_server.options.option import Group, Option
from jwks_server.options.settings import Limits, Listening, Settings, Timing
from jwks_server.options.table import SERVE, URL, VARIABLES

SCHEMA = ROOT / "deploy" / "helm" / "jwks-server" / "values.schema.json"


def by_flag(flag: str) -> Option:
    """Find an option."""
    (found,) = [one for one in SERVE if one.flag == flag]
    return found


def settings_of(*arguments: str) -> Settings:
    """Read the server's command line."""
    got: list[Settings] = []

    @click.command()
    @serve_options
    def command(*, settings: Settings, **_of_log: object) -> None:
        got.append(settings)

    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return got[0]


def test_chart_has_the_table() -> None:
    """The chart allows the settings of the table, in their ranges, and no others."""
    config = json.loads(SCHEMA.read_text())["properties"]["config"]
    assert config["properties"] == helm_settings()
    assert config["additionalProperties"] is False


def test_serve_has_the_table() -> None:
    """The command has each option of the table, and no others."""
    shown = {one.opts[0] for one in cli.commands["serve"].params if isinstance(one, click.Option)}
    assert shown == {one.flag for one in SERVE}


@pytest.mark.parametrize("option", [*SERVE, URL], ids=lambda one: one.flag)
def test_each_option_explains_itself(option: Option) -> None:
    """Each option is named once, its help is a sentence, and its variable is its name."""
    assert len([one for one in SERVE if one.flag == option.flag]) <= 1
    assert re.fullmatch(r"[A-Z].*\.", option.help)
    assert option.variable == "JWKS_SERVER_" + option.flag[2:].upper().replace("-", "_")
    assert option.variable in VARIABLES


def test_help_is_grouped() -> None:
    """The help lists each option under its heading, in the table's order."""
    output = CliRunner().invoke(cli, ["serve", "--help"]).output
    headings = [f"\n{group}:\n" for group in Group]
    places = [output.index(heading) for heading in headings]
    assert places == sorted(places)
    for option in SERVE:
        section = output[output.index(f"\n{option.group}:\n") :]
        assert f"\n  {option.flag}" in section.partition("\n\n")[0]


def test_completion_knows_the_table() -> None:
    """Completion offers each option of the table."""
    done = run(_JWKS_SERVER_COMPLETE="bash_complete", COMP_WORDS="jwks-server serve --", COMP_CWORD="2")
    assert {one.flag for one in SERVE} <= {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_defaults() -> None:
    """Without a flag, the settings are those that the dataclasses have by default."""
    settings = settings_of("--admin-bind", "off")
    assert settings.timing == Timing()
    assert settings.limits == Limits()
    assert settings.policy == Policy()
    assert settings.listening == Listening(public=settings.listening.public)
    assert str(settings.listening.public[0]) == by_flag("--bind").default
    assert settings == Settings(
        directory=Path(),
        path=str(by_flag("--path").default),
        media_type=str(by_flag("--media-type").default),
        patterns=("*.pem", "tls.crt", "*.json", "*.jwk", "*.jwks"),
        listening=settings.listening,
    )


@pytest.mark.parametrize(
    ("flag", "value", "name"),
    [
        *(("--" + one.name.replace("_", "-"), 77, f"limits.{one.name}") for one in fields(Limits)),
        *(("--" + one.name.replace("_", "-"), 77.5, f"timing.{one.name}") for one in fields(Timing)),
        ("--drain", 77.5, "listening.drain"),
        ("--shutdown-timeout", 77.5, "listening.shutdown_timeout"),
        ("--retain", 77, "policy.retain"),
        ("--max-age", 77, "policy.max_age"),
    ],
)
def test_a_flag_reaches_its_setting(flag: str, value: float, name: str) -> None:
    """The value of a flag is the value of the setting with the same name."""
    value = 4096 if flag == "--max-head" else value
    found: Any = settings_of("--admin-bind", "off", flag, str(value))
    for part in name.split("."):
        found = getattr(found, part)
    assert found == value


def test_one_maximum_for_times() -> None:
    """A flag and jwks.toml have the same longest time."""
    assert settings_of("--admin-bind", "off", "--retain", str(MAX_SECONDS)).policy.retain == MAX_SECONDS
    assert parse(f"retain = {MAX_SECONDS}".encode(), Policy()).retain == MAX_SECONDS
    assert run("serve", "x", "--retain", str(MAX_SECONDS + 1)).returncode == 2
    with pytest.raises(PolicyInvalid):
        parse(f"retain = {MAX_SECONDS + 1}".encode(), Policy())


def test_key_options_alone() -> None:
    """A command that serves nothing gets the settings about keys, and its own parameters as they are."""
    got: dict[str, Any] = {}

    @click.command()
    @click.option("--own")
    @key_options
    def command(**given: Any) -> None:
        got.update(given)

    CliRunner().invoke(command, ["--own", "x", "--allow", "Ed448", "--allow", "secp256k1"], catch_exceptions=False)
    assert got.keys() == {"own", "settings"}
    assert got["settings"].policy.allow == {"Ed448", "secp256k1"}
    assert got["own"] == "x"
