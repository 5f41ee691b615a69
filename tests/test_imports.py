"""The lighter imports: what is left out comes when it is used."""

import subprocess
import sys

import aiohttp
import pytest
from support import HANG_SECONDS


def run_python(program: str) -> str:
    """Run a program after the lighter imports were prepared, and return what it prints."""
    program = f"import sys; from jwks_server.imports import lighten; lighten(); {program}"
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=True).stdout


def test_web_server_comes_without_the_client() -> None:
    """Aiohttp's server can be imported alone, and its client is there as soon as it is used."""
    told = run_python(
        "from aiohttp import hdrs, web; import aiohttp; print('aiohttp.client' in sys.modules, aiohttp.__version__);"
        "print(aiohttp.ClientSession.__module__, aiohttp.web is web, type(aiohttp).__name__)"
    )
    assert told.splitlines() == [f"False {aiohttp.__version__}", "aiohttp.client True module"]


def test_unknown_name_is_an_error() -> None:
    """A name that aiohttp doesn't have is missing in the usual way."""
    assert run_python("import aiohttp; print(hasattr(aiohttp, 'nothing'), hasattr(aiohttp, '__nothing__'))") == (
        "False False\n"
    )


def test_logs_come_without_rich() -> None:
    """Structlog doesn't load rich, and others still can."""
    assert run_python("import structlog; print('rich' in sys.modules); import json; print(structlog.dev is None)") == (
        "False\nFalse\n"
    )


@pytest.mark.parametrize("first", ["aiohttp", "structlog"])
def test_what_is_loaded_already_stays(first: str) -> None:
    """A package that was imported before is left as it is."""
    program = (
        f"import sys, {first}; before = sys.modules['{first}']; from jwks_server.imports import lighten; lighten(); "
    )
    program += f"print(sys.modules['{first}'] is before, type(before).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    assert done.stdout == "True module\n"
