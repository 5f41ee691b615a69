"""Settings for every test."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from support import key, public_pem

# A key is generated on first use, which would count as a slow example: timing never decides a test.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

# Servers that a test starts without saying so have no admin listener: there is one port by default.
os.environ.setdefault("JWKS_SERVER_ADMIN_BIND", "off")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a key directory with one key."""
    path = tmp_path / "keys"
    path.mkdir()
    (path / "a.pem").write_bytes(public_pem(key("P-256")))
    return path
