"""Settings for every test."""

import os

from hypothesis import settings

# A key is generated on first use, which would count as a slow example: timing never decides a test.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")

# Servers that a test starts without saying so have no admin listener: there is one port by default.
os.environ.setdefault("JWKS_SERVER_ADMIN_BIND", "off")
