"""The output folder and the key directory are apart, so that render never writes over keys or publishes them."""

import os
from pathlib import Path

from jwks_server.errors import ConfigError
from jwks_server.source.way import real
from jwks_server.text import reason


def keep_apart(directory: Path, out: Path) -> None:
    """Refuse an output folder that overlaps the key directory: private keys would be published.

    Raises:
        ConfigError: They overlap, or a relative path leads nowhere.
    """
    try:
        ours, theirs = _places(directory), _places(out)
    except OSError as exc:  # a relative path, in a working directory that was deleted
        raise ConfigError(
            f"The place of {directory} or of --out {out} can't be found: {reason(exc)}; "
            "change to a directory that exists, or give absolute paths."
        ) from exc
    for here in ours:
        for there in theirs:
            if here == there or here in there.parents or there in here.parents:
                raise ConfigError(
                    f"--out {out} and {directory} overlap, directly or through links, so keys would be published; "
                    "use separate folders."
                )


def _places(folder: Path) -> set[Path]:
    """List the place of a folder, and the targets of the links in it and in its folders."""
    inside = (path for pattern in ("*", "*/*") for path in folder.glob(pattern))
    links = (path for path in inside if os.path.islink(path))  # noqa: PTH114 - False, not an error, for an unreadable path
    return {Path(real(path)) for path in (folder, *links)}
