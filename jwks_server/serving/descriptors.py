"""How many connections the limits on file descriptors and on memory allow."""

import resource
from collections.abc import Iterator
from contextlib import suppress

import structlog

from jwks_server.errors import ConfigError

# For listeners, the admin listener's connections, the files of the directory, and the watch.
_RESERVED = 96
_MAX_CONNECTIONS = 50_000
_FEWEST_CONNECTIONS = 32
# Fewer than a proxy or a monitoring system may open: worth a line in the log.
_FEW_CONNECTIONS = 1000
# A connection's worst: an unfinished head of 16 KiB, or an idle connection over TLS.
_CONNECTION_BYTES = 24 * 1024
# The program without connections. The other half of the limit is for reloads, the page cache and the allocator.
_PROGRAM_BYTES = 64 * 1024 * 1024
_CGROUPS = "/sys/fs/cgroup"

_log = structlog.get_logger(__name__)


def room_for_connections(wanted: int) -> int:
    """Raise the limit on file descriptors as far as permitted, and return how many connections may be open at once.

    Args:
        wanted: How many are wanted; 0 for as many as there is room for, but not more than 50,000.

    Raises:
        ConfigError: There is no room for so many, or for hardly any.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = _MAX_CONNECTIONS + _RESERVED if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most))
    room = descriptors - _RESERVED
    if room < _FEWEST_CONNECTIONS:
        raise ConfigError(
            f"The limit of {descriptors} file descriptors leaves no room for connections; raise it to at least "
            f"{_RESERVED + _FEWEST_CONNECTIONS} with ulimit -n or LimitNOFILE=."
        )
    if wanted > room:
        raise ConfigError(
            f"--max-connections {wanted} needs {wanted + _RESERVED} file descriptors, and the limit is "
            f"{descriptors}; raise it with ulimit -n or LimitNOFILE=."
        )
    memory = memory_limit()
    room = wanted or min(room, _MAX_CONNECTIONS, room_in(memory) if memory else _MAX_CONNECTIONS)
    if room < _FEW_CONNECTIONS and not wanted:
        _log.warning("connections-limited", connections=room, descriptors=descriptors, memory=memory)
    return room


def room_in(memory: int) -> int:
    """Return how many connections a limit on memory allows, with half of it left for the rest."""
    return max(_FEWEST_CONNECTIONS, (memory // 2 - _PROGRAM_BYTES) // _CONNECTION_BYTES)


def memory_limit(membership: str = "/proc/self/cgroup", root: str = _CGROUPS) -> int | None:
    """Find the lowest limit on memory of this process's control groups; None where there is none.

    Args:
        membership: The file that names the groups.
        root: Where the groups are mounted.
    """
    limits = []
    for path in _limit_files(membership, root):
        with suppress(OSError, ValueError), open(path, encoding="ascii") as file:  # noqa: PTH123 - no pathlib in serving
            limits.append(int(file.read()))  # "max" is none
    # Version 1 writes no limit as a number near 2**63.
    return min((one for one in limits if one < 1 << 60), default=None)


def _limit_files(membership: str, root: str) -> Iterator[str]:
    """List the files that may have a limit: those of the groups, and of the groups around them."""
    lines: list[str] = []
    with suppress(OSError), open(membership, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - as above
        lines = file.read().splitlines()
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        folder, name = (root, "memory.max") if not controllers else (f"{root}/memory", "memory.limit_in_bytes")
        parts = [part for part in group.split("/") if part not in {"", ".."}]
        for depth in range(len(parts), -1, -1):
            yield "/".join((folder, *parts[:depth], name))
