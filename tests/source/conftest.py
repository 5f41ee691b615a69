"""What the tests of the directory side share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def memory() -> Iterator[Path]:
    """Make a directory in memory."""
    if not Path("/dev/shm").is_dir():  # noqa: S108 - a tmpfs on each Linux
        pytest.skip("there is no /dev/shm")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)
