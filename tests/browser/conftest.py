"""Where there is no Playwright, its tests can't even be imported."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("playwright") else ["test_*.py"]
