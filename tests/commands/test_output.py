"""What the commands print, through the console: into any encoding, a full disk, a pipe that nobody reads."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support import HANG_SECONDS, SCRIPT, key, private_pem, public_pem, run

FULL = Path("/dev/full")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with one key."""
    path = tmp_path / "keys"
    path.mkdir()
    (path / "a.pem").write_bytes(public_pem(key("P-256")))
    return path


def printing_to(descriptor: int, *arguments: str | Path) -> tuple[int, str]:
    """Run the console script with this standard output; give its exit code and what it says."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)], stdout=descriptor, stderr=subprocess.PIPE, timeout=HANG_SECONDS, check=False
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux")
@pytest.mark.parametrize("arguments", [("check", "DIR"), ("check", "DIR", "--json"), ("version", "--json")])
def test_a_full_disk(keys: Path, arguments: tuple[str, ...]) -> None:
    """What can't be printed is no answer: one sentence, and exit code 2."""
    with FULL.open("wb") as full:
        code, said = printing_to(full.fileno(), *(keys if one == "DIR" else one for one in arguments))
    assert (code, said.count("\n")) == (2, 1)
    assert "[output-unusable]" in said


def test_a_reader_that_has_left(keys: Path) -> None:
    """It ends the command as SIGPIPE would, silently, and not with the 1 that says refused."""
    reader, writer = os.pipe()
    os.close(reader)
    assert printing_to(writer, "check", keys) == (141, "")
    os.close(writer)


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
