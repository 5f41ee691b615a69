"""What each issuer published before a restart, and what the next restart must know."""

from collections.abc import Mapping

import structlog

from jwks_server.errors import JwksError, StateDamaged, StateUnusable
from jwks_server.keys.keyset import KeySet
from jwks_server.source.state import StateFile

_log = structlog.get_logger(__name__)


class Remembered:
    """What each issuer published before a restart, until it is taken; and what the next restart must know.

    Args:
        file: Where to read and write it; None to remember nothing.
        before: What was read already, by the issuer's path; None to read the file when it is needed.

    Attributes:
        faults: What is wrong with the file, by code.
    """

    def __init__(self, file: StateFile | None, before: Mapping[str, KeySet] | None = None) -> None:
        self._file = file
        self._before: dict[str, KeySet] | None = None if before is None else dict(before)
        self._kept: dict[str, KeySet] = {}
        self._now: Mapping[str, KeySet] | None = None
        self.faults: Mapping[str, JwksError] = {}

    def peek(self, issuer: str) -> KeySet | None:
        """Return what is remembered of an issuer."""
        return self._all().get(issuer)

    def take(self, issuer: str) -> None:
        """Forget what is remembered of an issuer, since it has it now."""
        self._all().pop(issuer, None)

    def _all(self) -> dict[str, KeySet]:
        if self._before is None:
            self._before = self._load()
        return self._before

    def drop(self) -> None:
        """Forget what no issuer has taken."""
        self._before = {}

    @property
    def unsaved(self) -> bool:
        """Whether something is not written yet."""
        return self._now is not None

    def put(self, changes: Mapping[str, KeySet | None]) -> None:
        """Change the keys to write for the next restart.

        Args:
            changes: By the issuer's path; None for an issuer that is gone, or has no keys.
        """
        if not self._file:
            return
        for path, keyset in changes.items():
            if keyset is None:
                self._kept.pop(path, None)
            else:
                self._kept[path] = keyset
        self._now = {**(self._before or {}), **self._kept}

    def save(self) -> None:
        """Write what was not written yet. Another thread may put something meanwhile."""
        now = self._now
        if self._file is None or now is None:
            return
        try:
            self._file.save(now)
        except StateUnusable as error:
            self.faults = {error.code: error}
        else:
            self.faults = {}
            if self._now is now:
                self._now = None

    def _load(self) -> dict[str, KeySet]:
        try:
            return self._file.load() if self._file else {}
        except (StateDamaged, StateUnusable) as error:
            _log.warning("state-lost", code=error.code, reason=error.message)
            self.faults = {error.code: error} if isinstance(error, StateUnusable) else {}
            return {}
