"""README.md takes a newcomer from its first line to a verified token."""

import sys
import time
from pathlib import Path

import pytest
from pages import pages, reading, steps

README = pages()["README.md"]
# What the test replaces: the package that is tested, and PyJWT, are installed already, and the folder is new and empty.
REPLACED = """
$ python3 -m venv ~/jwks-venv && . ~/jwks-venv/bin/activate
$ pip install . 'pyjwt[crypto]'
$ mkdir ~/jwks && cd ~/jwks
"""


def test_five_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """README's commands, in their order and in an empty folder, end with a verified token of the reader's own key."""
    assert REPLACED in README
    assert README.index(REPLACED) < README.index("<!-- run -->")
    begin = time.monotonic()
    with reading(tmp_path / "reader") as reader:
        for step in steps(README):
            reader.run(step)
    assert step.printed == ("{'sub': 'alice'}",)
    with capsys.disabled():
        # pytest-xdist's workers pass on standard error only.
        print(f"\nREADME, empty folder to verified token: {time.monotonic() - begin:.1f} s", file=sys.stderr)  # noqa: T201


def test_first_thirty_lines_hold_the_commands_and_their_output() -> None:
    """A newcomer sees both commands and real output without scrolling."""
    start = "\n".join(README.splitlines()[:30])
    for part in ("make run", "make test", "curl", "HTTP/1.1 200 OK", '{"keys":[{'):
        assert part in start


def test_one_sitting() -> None:
    """README has at most 150 lines."""
    assert len(README.splitlines()) <= 150
