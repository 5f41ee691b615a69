"""How often to read the directory when there is no event: by what it costs, and by whether events can be relied on."""

from collections.abc import Mapping

import structlog

from jwks_server.source import mounts
from jwks_server.stats import Pace, Reloads

# The shares of a core that the rescan may take, where events report each change, and where they may not.
_CHECKING = 0.01
_SEARCHING = 0.05

# Filesystems on which each change is made by this machine's kernel, which reports it.
_REPORTING = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs", "zfs"}
)

_log = structlog.get_logger(__name__)


class Rescan:
    """The pace of the rescan.

    What it costs is what a look at everything costs that finds no change. The first look parses each file, so it says
    nothing about the next ones.

    Args:
        least: The shortest pause, in seconds.
        reloads: Shows the pace in the status.
    """

    def __init__(self, least: float, reloads: Reloads) -> None:
        self._least = least
        self._reloads = reloads
        self._read = 0.0
        self._watch = 0.0
        self._devices: frozenset[int] = frozenset()
        self._kinds: frozenset[str] = frozenset()
        self._failure = ""
        self._reason = self._why()
        self._show()

    @property
    def pause(self) -> float:
        """The seconds to wait before looking at everything without an event."""
        return max(self._least, (self._read + self._watch) / (_SEARCHING if self._doubt else _CHECKING))

    def read(self, seconds: float, *, changed: bool) -> None:
        """Take in the CPU time that a look at all files took, in seconds."""
        self._read = min(self._read, seconds) if changed else seconds
        self._show()

    def watched(self, seconds: float, devices: Mapping[int, str], failure: str) -> None:
        """Take in what a look at all folders to watch gave.

        Args:
            seconds: The CPU time that it took.
            devices: A directory on each device, without links.
            failure: Why not all of it is watched; empty if it is.
        """
        self._watch, self._failure = seconds, failure
        if devices.keys() != self._devices:
            table = mounts.table()
            self._devices = frozenset(devices)
            self._kinds = frozenset(mounts.filesystem(path, table) for path in devices.values())
        reason = self._why()
        if reason != self._reason:
            self._reason = reason
            _log.info("rescan-paced", reason=reason, every=round(self.pause, 3))
        self._show()

    @property
    def _doubt(self) -> frozenset[str]:
        return self._kinds - _REPORTING | ({self._failure} if self._failure else frozenset())

    def _why(self) -> str:
        if self._failure:
            return self._failure
        if self._doubt:
            names = ", ".join(sorted(kind or "unknown" for kind in self._doubt))
            return f"The filesystem may not report all changes ({names}), so the rescan may take 5 % of a core."
        return "The kernel reports changes, so the rescan may take 1 % of a core."

    def _show(self) -> None:
        self._reloads.watch = "rescan" if self._doubt else "events"
        self._reloads.pace = Pace(self.pause, self._reason)
