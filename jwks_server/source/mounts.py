"""The mounts that keep Kubernetes from updating a key: a subPath is bound to one version of its volume."""

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
# proc(5): mount ID, parent ID, major:minor, the root within its filesystem, the mount point.
_LINE = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<point>\S+) ")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_TIMESTAMPED = re.compile(r"/\.\.\d{4}_\d\d_\d\d_")


def subpaths(directory: Path) -> frozenset[str]:
    """Find the names in a directory that are mounts of their own; ``.`` is the directory itself.

    Returns:
        Nothing where there are none, or where the system doesn't tell.
    """
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        here = directory.resolve()
    except OSError:
        return frozenset()
    found = set()
    for mount in filter(None, map(_LINE.match, lines)):
        point = Path(_unescaped(mount["point"]))
        if point.parent == here:
            found.add(point.name)
        elif point == here and _TIMESTAMPED.search(_unescaped(mount["root"])):
            found.add(".")
    return frozenset(found)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), text)
