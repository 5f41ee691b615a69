"""The page's files: a style sheet, a script and an icon. They are in the package, and are read once."""

import pkgutil
from typing import NamedTuple

_FILES = {"/page.css": "text/css", "/page.js": "text/javascript", "/page.svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A file and its media type."""

    data: bytes
    media_type: str


def load() -> dict[str, Asset]:
    """Read the files, by their URL path.

    Raises:
        FileNotFoundError: The package is incomplete.
    """
    return {path: Asset(_read(path[1:]), media_type) for path, media_type in _FILES.items()}


def _read(name: str) -> bytes:
    data = pkgutil.get_data(__package__, name)
    if data is None:
        raise FileNotFoundError(name)
    return data
