"""docs/reference/flags.md: what it says by hand of flags and variables."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from reference.commands import by_group
from reference.tables import names, page, rows

import jwks_server
from jwks_server import service
from jwks_server.cli import cli
from jwks_server.keys.policy import FILE, SET
from jwks_server.options.table import DIRECTORY_VARIABLE, SERVE, VARIABLES

PAGE = page("flags")
_READ = re.compile(r"environ(?:ment)?(?:\.get|\.setdefault)?[\[(]\"([A-Z_]+)\"")


def test_every_flag_has_a_row() -> None:
    """The tables have each flag of ``serve``, with its variable, below the headings of the help."""
    for group, listed in by_group(SERVE).items():
        assert [names(row[0])[0].split()[0] for row in rows(PAGE, group)] == [one.flag for one in listed]
        assert [names(row[1]) for row in rows(PAGE, group)] == [[one.variable] for one in listed]
    assert f"`{DIRECTORY_VARIABLE}`" in PAGE


def test_what_jwks_toml_overrides() -> None:
    """The page names exactly the flags that have a member of their name in jwks.toml."""
    (sentence,) = re.findall(r"\(jwks-toml\.md\) overrides (.+?) for its issuer", PAGE, re.DOTALL)
    assert set(names(sentence)) == {one.flag for one in SERVE} & {f"--{name.replace('_', '-')}" for name in SET}
    assert not FILE.keys() & {"max_age", "retain"}


def test_every_other_variable() -> None:
    """Each variable that the code reads is in one of the tables, and the code reads each that is there."""
    sources = "".join(path.read_text() for path in sorted(Path(jwks_server.__file__).parent.rglob("*.py")))
    read = set(_READ.findall(sources)) | {"AIOHTTP_NO_EXTENSIONS"}
    others = {one.partition("=")[0] for row in rows(PAGE, "Other variables") for one in names(row[0])}
    own = {one for one in others if one.startswith("JWKS_SERVER_")}
    assert others - own == read
    assert own == VARIABLES - {DIRECTORY_VARIABLE} - {one.variable for one in SERVE}


def test_connections_of_the_admin_listener() -> None:
    """The page has the number of connections that the admin listener may have."""
    assert f"at most {service._ADMIN_CONNECTIONS} connections" in PAGE  # noqa: SLF001 - the number that is documented


@pytest.mark.parametrize("value", ["true", "1", "yes", "on", "false", "0", "no", "off"])
def test_values_of_a_switch(value: str, tmp_path: Path) -> None:
    """A switch's variable takes the values that the page names."""
    assert f"`{value}`" in PAGE
    is_on = value in {"true", "1", "yes", "on"}
    done = CliRunner().invoke(cli, ["check", str(tmp_path)], env={"JWKS_SERVER_ALLOW_EMPTY": value})
    assert ("no-keys" in done.output) == (not is_on)
