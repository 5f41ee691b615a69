"""version through the console."""

import json
import platform

from support import run

from jwks_server import __version__


def test_version() -> None:
    """It names this program, Python and the libraries that matter, for people and for machines."""
    lines = dict(line.split() for line in run("version").stdout.splitlines())
    assert lines == json.loads(run("version", "--json").stdout)
    assert (lines["jwks-server"], lines["python"]) == (__version__, platform.python_version())
    assert {"aiohttp", "cryptography", "joserfc"} < lines.keys()


def test_wrong_usage() -> None:
    """It takes no argument."""
    assert run("version", "please").returncode == 2
