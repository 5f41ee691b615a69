"""The commands of the documentation do what the pages show: real servers, real openssl, real curl."""

from pathlib import Path

import pytest
from pages import pages, reading, steps

RUN = {name: steps(text) for name, text in pages().items() if name != "README.md"}


@pytest.mark.parametrize("name", [name for name, commands in RUN.items() if commands])
def test_a_page_runs(name: str, tmp_path: Path) -> None:
    """Every command that is marked as run prints what the page shows, in an empty folder."""
    with reading(tmp_path / "reader") as reader:
        for step in RUN[name]:
            reader.run(step)
