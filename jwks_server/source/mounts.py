"""Mounts that keep Kubernetes from updating a key: a subPath mount stays at one version of its volume."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from jwks_server.source.way import real

_MOUNTS = Path("/proc/self/mountinfo")
# proc(5): mount ID, parent ID, major:minor, the root within its filesystem, the mount point, options, a dash, the type.
_LINE = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<point>\S+) .*? - (?P<kind>\S+) ")
_ESCAPE = re.compile(r"\\([0-7]{3})")
_TIMESTAMPED = re.compile(r"/\.\.\d{4}_\d\d_\d\d_")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: the path within its filesystem, the mount point, and the filesystem's type."""

    root: str
    point: str
    kind: str = ""


def table() -> tuple[Mount, ...]:
    """List the mounts that this process sees; the list is empty where the system has no /proc."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ()
    found = filter(None, map(_LINE.match, lines))
    return tuple(Mount(_unescaped(one["root"]), _unescaped(one["point"]), one["kind"]) for one in found)


def subpaths(directory: Path, mounts: Collection[Mount]) -> frozenset[str]:
    """Find the names in a directory that are mounts of their own; ``.`` is the directory itself."""
    here = real(directory)
    points = [os.path.split(one.point) for one in mounts]
    inside = {name for folder, name in points if folder == here and name}
    bound = any(one.point == here and _TIMESTAMPED.search(one.root) for one in mounts)
    return frozenset(inside | ({"."} if bound else set()))


def filesystem(path: str, mounts: Sequence[Mount]) -> str:
    """Name the type of the filesystem that a directory is on, by its path without links; empty if it isn't known."""
    above = {path, *map(str, Path(path).parents)}
    over = [one for one in mounts if one.point in above]
    # Of two mounts at one point, the later one is on top.
    return max(enumerate(over), key=lambda one: (len(one[1].point), one[0]))[1].kind if over else ""


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), text)
