"""Priorities for journald: the line prefixes of sd-daemon(3), where standard error is the journal itself."""

import os

_STDERR = 2
# By syslog(3). The names are those of the logger's methods too.
_PRIORITIES = {"critical": 2, "error": 3, "exception": 3, "warning": 4, "warn": 4, "info": 6, "debug": 7}


def prefix(level: str) -> str:
    """Return what a line of this level begins with; it is empty if standard error isn't the journal."""
    return f"<{_PRIORITIES.get(level, _PRIORITIES['info'])}>" if _is_journal() else ""


def with_priority(_logger: object, level: str, text: object) -> str:
    """Let journald see the priority of a log entry. It takes each line for an entry, so each has the prefix."""
    start = prefix(level)
    return "\n".join(start + line for line in str(text).split("\n"))


def _is_journal() -> bool:
    """Report whether standard error is the stream that systemd connected: it may have been redirected since."""
    stream = os.environ.get("JOURNAL_STREAM", "")
    if not stream:
        return False
    status = os.fstat(_STDERR)
    return stream == f"{status.st_dev}:{status.st_ino}"
