"""What the commands print, through the console and into any encoding; test_wrong_usage_processes.py has full disks."""

import json
from pathlib import Path

import pytest
from support import key, private_pem, public_pem, run


@pytest.mark.parametrize("encoding", ["utf-8:strict", "latin-1:strict", "ascii:strict"])
@pytest.mark.parametrize("odd", ["\udcff", "\x1b[31m", "\u0436"])
def test_odd_names_in_any_encoding(keys: Path, odd: str, encoding: str) -> None:
    """Names of folders and files that the output can't hold, or that steer a terminal, are escaped."""
    for place in (f"folder{odd}/a.pem", f"empty{odd}/jwks.toml", f"file{odd}.pem"):
        path = keys / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(public_pem(key("RSA")) if path.parent != keys else b"")
    done = run("check", keys, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (1, "")
    assert odd not in done.stdout or odd.isprintable()
    assert {"[pem-missing]", "[issuer-name-invalid]"} <= set(done.stdout.split())
    assert json.loads(run("check", keys, "--json", PYTHONIOENCODING=encoding).stdout)["issuers"]["/"]["fault"] is None


def test_a_warning_can_not_steer_the_terminal(keys: Path) -> None:
    """A warning's subject is a file's name, and escaped as everywhere."""
    path = keys / "\x1b[31mred.pem"
    path.write_bytes(private_pem(key("Ed25519")))
    path.chmod(0o644)
    done = run("check", keys)
    assert "[private-key-exposed]" in done.stdout
    assert "\x1b" not in done.stdout
