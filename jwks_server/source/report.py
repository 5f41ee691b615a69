"""What a reload gave -> the log, and the counters that metrics and ``/status`` read."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import structlog

from jwks_server.errors import DirectoryMissing, DirectoryUnreadable, JwksError
from jwks_server.keys.changes import Change
from jwks_server.keys.early import too_early_until
from jwks_server.published.catalog import ROOT, Catalog
from jwks_server.source.directory import Directory
from jwks_server.source.issuer import Issuer
from jwks_server.source.issuers import Step
from jwks_server.source.triggers import EVERYWHERE, Trigger
from jwks_server.stats import Reloads
from jwks_server.text import well_formed

_LEVELS = {"file-refused": "error", "finding": "warning"}
# At a start, more changes and findings than these are counted in one line instead of listed.
_LISTED_AT_START = 20
_LISTED = frozenset({"info", "warning"})
_log = structlog.get_logger(__name__)


class Report:
    """Reports what each reload gave.

    Args:
        directory: Where the key files are.
        catalog: What is served.
        reloads: Where the outcomes are counted.
    """

    def __init__(self, directory: Directory, catalog: Catalog, reloads: Reloads) -> None:
        self._directory = directory
        self._catalog = catalog
        self._reloads = reloads
        self._state_faults: Mapping[str, JwksError] = {}
        self._loaded = False

    def show(self, issuers: Mapping[str, Issuer], now: float) -> None:
        """Let status and metrics see what was decided.

        Args:
            issuers: All issuers, by their path.
            now: In seconds since the epoch.
        """
        before, early = self._reloads.issuers, self._reloads.too_early
        after = {path: issuers[path].evaluation for path in sorted(issuers)}
        until = {
            path: early.get(path)
            if one is (last := before.get(path))
            else too_early_until(last.served if last else None, one.served, early.get(path), now)
            for path, one in after.items()
        }
        self._reloads.issuers = after
        self._reloads.too_early = {path: instant for path, instant in until.items() if instant is not None}

    def record(  # noqa: PLR0913 - the facts of a reload
        self,
        triggers: Collection[tuple[Trigger, str]],
        steps: Sequence[Step],
        issuers: Mapping[str, Issuer],
        state_faults: Mapping[str, JwksError],
        *,
        at: float,
        seconds: float,
        scan: float,
    ) -> None:
        """Count a reload, and take note of what is wrong.

        Args:
            triggers: What asked for it, with the issuer that each is about.
            steps: What became of each issuer that it looked at.
            issuers: All issuers, by their path.
            state_faults: What is wrong with the state, by code.
            at: When it ended, in seconds since the epoch.
            seconds: Its duration in seconds.
            scan: The duration of its scan, in seconds.
        """
        faults = {
            well_formed(path): tuple(one.evaluation.faults.values())
            for path, one in issuers.items()
            if one.evaluation.faults
        }
        if state_faults:
            faults[ROOT] = (*faults.get(ROOT, ()), *state_faults.values())
        everything = not triggers or any(path == EVERYWHERE for _, path in triggers)
        if everything and not any(
            isinstance(one, DirectoryMissing | DirectoryUnreadable) for one in faults.get(ROOT, ())
        ):
            self._reloads.last_scan = at
        for step in steps:
            self._record_issuer(step, at)
        published = any(step.news.entry or step.news.gone for step in steps)
        failed = state_faults or any(step.issuer.evaluation.faults for step in steps)
        self._reloads.add(
            sorted({trigger for trigger, _ in triggers}) or ["start"],
            "failed" if failed else "published" if published else "unchanged",
            at=at,
            seconds=seconds,
            scan=scan,
            faults=faults,
        )

    def _record_issuer(self, step: Step, at: float) -> None:
        path = step.issuer.path
        if step.news.gone:
            self._reloads.of_issuers.pop(path, None)
            return
        failed = bool(step.issuer.evaluation.faults)
        self._reloads.add_issuer(path, "failed" if failed else "published" if step.news.entry else "unchanged", at)

    def log(
        self,
        steps: Sequence[Step],
        findings: Mapping[str, Sequence[Change]],
        state_faults: Mapping[str, JwksError],
    ) -> None:
        """Log what is new.

        Args:
            steps: What became of each issuer.
            findings: The findings that are new, by the issuer's path.
            state_faults: What is wrong with the state, by code.
        """
        first = not self._loaded and bool(self._catalog.current.entries)
        changes = {step.issuer.path: (*step.news.changes, *findings.get(step.issuer.path, ())) for step in steps}
        listed = sum(_level(one) in _LISTED for found in changes.values() for one in found)
        many = first and listed > _LISTED_AT_START
        for step in steps:
            log = _log_of(step.issuer.path)
            for change in changes[step.issuer.path]:
                level = _level(change)
                getattr(log, "debug" if many and level in _LISTED else level)(change.event, **change.fields)
            self._log_faults(step.issuer.path, step.before, step.issuer.evaluation.faults)
        self._log_faults(ROOT, self._state_faults, state_faults)
        self._state_faults = state_faults
        if first:
            self._loaded = True
            self._log_loaded(sum(map(len, findings.values())))

    def _log_loaded(self, findings: int) -> None:
        """Sum up the first load, which may have been too much to list."""
        entries = self._catalog.current.entries.values()
        keys = Counter(key.state for entry in entries for key in (*entry.keyset.keys, *entry.keyset.pending))
        refused = sum(
            verdict.outcome == "refused" for one in self._reloads.issuers.values() for verdict in one.verdicts
        )
        _log.info(
            "loaded",
            issuers=len(entries),
            published=keys["published"],
            pending=keys["pending"],
            retiring=keys["retiring"],
            refused=refused,
            findings=findings,
        )

    def _log_faults(self, path: str, before: Mapping[str, JwksError], now: Mapping[str, JwksError]) -> None:
        """Log a fault once when it appears, and once when it is over."""
        log = _log_of(path)
        for code, fault in now.items():
            if before.get(code) != fault:
                serving = path in self._catalog.current.entries
                log.error("reload-failed", code=code, reason=fault.message, serving=serving)
        for code in before.keys() - now.keys():
            log.info("reload-recovered", code=code, directory=str(self._directory.folder(path)))


def _level(change: Change) -> str:
    return _LEVELS.get(change.event, "debug" if change.known else "info")


def _log_of(path: str) -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = _log if path == ROOT else _log.bind(issuer=path)
    return log
