"""How many connections the limit on file descriptors allows."""

import resource

from jwks_server.errors import ConfigError

# For listeners, the admin listener's connections, the files of the directory, and the watch.
_RESERVED = 96
_MAX_CONNECTIONS = 50_000


def room_for_connections(wanted: int) -> int:
    """Raise the limit on file descriptors as far as permitted, and tell how many connections may be open at once.

    Args:
        wanted: How many are wanted; 0 for as many as there is room for, but not more than 50,000.

    Raises:
        ConfigError: There is no room for so many.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptors = _MAX_CONNECTIONS + _RESERVED if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most))
    room = max(1, descriptors - _RESERVED)
    if wanted > room:
        raise ConfigError(
            f"--max-connections {wanted} needs {wanted + _RESERVED} file descriptors, and the limit is "
            f"{descriptors}; raise it with ulimit -n or LimitNOFILE=."
        )
    return wanted or min(room, _MAX_CONNECTIONS)
