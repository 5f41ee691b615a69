"""The man page: it is current, it renders, and the wheel installs it."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from reference import man
from reference.commands import COMMANDS, options
from reference.pages import MAN_PAGE
from support import HANG_SECONDS, ROOT

INSTALLED = "share/man/man1/jwks-server.1"


def rendered(*command: str) -> str:
    """Render the page, and insist that the renderer has nothing to say."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [*command, str(MAN_PAGE)],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert not done.stderr
    return done.stdout


def test_current() -> None:
    """The page is what ``make reference`` would write."""
    assert MAN_PAGE.read_text() == man.page()


def test_groff() -> None:
    """Groff renders the page without a warning, with every command and every option."""
    text = rendered("groff", "-man", "-Tascii", "-P-cbou", "-ww")
    for name, command in COMMANDS.items():
        assert f"jwks-server {name} [OPTIONS]" in text
        assert all(f" {one.flag}" in text for one in options(command))
    assert max(map(len, text.splitlines())) <= 100


def test_man() -> None:
    """Man shows the page without a warning."""
    assert "publish a directory of PEM files" in rendered("man", "--warnings", "--local-file")


def test_special_characters() -> None:
    """What roff would read as its own is written as text."""
    assert man._roff(".a -b 'c \\d") == "\\&.a \\-b 'c \\ed"  # noqa: SLF001 - no text of today has them all
    assert man._roff("'a") == "\\&'a"  # noqa: SLF001 - as above


def test_wheel_has_it() -> None:
    """The build puts the page where man finds it, and into the source distribution."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["shared-data"] == {str(MAN_PAGE.relative_to(ROOT)): INSTALLED}
    assert "/docs" in build["sdist"]["include"]


def test_installed() -> None:
    """A wheel that is installed has put the page below the environment's folder."""
    distribution = metadata.distribution("jwks-server")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("the package is installed as editable")
    assert (Path(sys.prefix) / INSTALLED).read_text() == MAN_PAGE.read_text()
