"""Settings for every test."""

from hypothesis import settings

# A key is generated on first use, which would count as a slow example: timing never decides a test.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")
