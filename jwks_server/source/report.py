"""What a reload gave -> the log, and the counters that metrics and ``/status`` read."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import structlog

from jwks_server.errors import DirectoryMissing, DirectoryUnreadable, JwksError
from jwks_server.keys.changes import Change
from jwks_server.keys.early import too_early_until
from jwks_server.keys.keyset import KeySet
from jwks_server.published.catalog import ROOT, Catalog
from jwks_server.source.directory import Directory
from jwks_server.source.issuer import Issuer
from jwks_server.source.issuers import Step
from jwks_server.source.triggers import Hint, everything
from jwks_server.stats import Reloads
from jwks_server.text import well_formed

_LEVELS = {"file-refused": "error", "finding": "warning"}
# At a start, more changes and findings than these are counted in one line instead of listed.
_LISTED_AT_START = 20
_LISTED = frozenset({"info", "warning"})
# Log lines are written for this long in one piece.
_SLICE_SECONDS = 0.002

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
        self._judged: dict[str, KeySet | None] = {}
        self._faults: Mapping[str, tuple[JwksError, ...]] = {}
        self._state_faults: Mapping[str, JwksError] = {}
        self._loaded = False

    def show(self, steps: Iterable[Step], issuers: Mapping[str, Issuer]) -> None:
        """Let status and metrics see what was decided.

        Args:
            steps: What became of each issuer.
            issuers: All issuers, by their path.
        """
        changed = {step.issuer.path for step in steps}
        if not changed:
            return
        shown = dict(self._reloads.issuers)
        for path in changed - issuers.keys():
            shown.pop(path, None)
        known = len(shown)
        for path in changed & issuers.keys():
            shown[path] = issuers[path].evaluation
        if len(shown) > known:
            shown = {path: shown[path] for path in sorted(shown)}
        self._reloads.issuers = shown

    def judge(self, steps: Iterable[Step], issuers: Mapping[str, Issuer], now: float) -> None:
        """Find out for which issuers whatever is signed now is signed too early. Runs in a thread: it compares sets.

        Args:
            steps: What became of each issuer.
            issuers: All issuers, by their path.
            now: In seconds since the epoch.
        """
        early = dict(self._reloads.too_early)
        for path in {step.issuer.path for step in steps}:
            last, known = self._judged.pop(path, None), early.pop(path, None)
            if issuer := issuers.get(path):
                self._judged[path] = served = issuer.evaluation.served
                if (until := too_early_until(last, served, known, now)) is not None:
                    early[path] = until
        self._reloads.too_early = early

    def record(self, hints: Collection[Hint], steps: Sequence[Step], *, at: float, seconds: float, scan: float) -> None:
        """Count a reload, and take note of what is wrong.

        Args:
            hints: What asked for it.
            steps: What became of each issuer that it looked at.
            at: When it ended, in seconds since the epoch.
            seconds: Its duration in seconds.
            scan: The duration of its scan, in seconds.
        """
        faults = dict(self._faults)
        for step in steps:
            path = well_formed(step.issuer.path)
            faults.pop(path, None)
            if step.issuer.evaluation.faults and not step.news.gone:
                faults[path] = tuple(step.issuer.evaluation.faults.values())
            self._record_issuer(step, at)
        self._faults = faults
        if everything(hints) and not any(
            isinstance(one, DirectoryMissing | DirectoryUnreadable) for one in faults.get(ROOT, ())
        ):
            self._reloads.last_scan = at
        published = any(step.news.entry or step.news.gone for step in steps)
        looked_at = self._faults.keys() if everything(hints) else {well_formed(hint.issuer) for hint in hints}
        failed = self._state_faults or looked_at & self._faults.keys()
        self._reloads.add(
            sorted({hint.trigger for hint in hints}) or ["start"],
            "failed" if failed else "published" if published else "unchanged",
            at=at,
            seconds=seconds,
            scan=scan,
            faults=self._all_faults(),
        )

    def _record_issuer(self, step: Step, at: float) -> None:
        path = step.issuer.path
        if step.news.gone:
            self._reloads.of_issuers.pop(path, None)
            return
        failed = bool(step.issuer.evaluation.faults)
        self._reloads.add_issuer(path, "failed" if failed else "published" if step.news.entry else "unchanged", at)

    def state_changed(self, before: Mapping[str, JwksError], now: Mapping[str, JwksError]) -> None:
        """Report what is wrong with the state now, by code, and was before."""
        self._state_faults = now
        self._reloads.faults = self._all_faults()
        self._log_faults(ROOT, before, now)

    def _all_faults(self) -> Mapping[str, tuple[JwksError, ...]]:
        if not self._state_faults:
            return self._faults
        return {**self._faults, ROOT: (*self._faults.get(ROOT, ()), *self._state_faults.values())}

    async def log(self, steps: Sequence[Step], findings: Mapping[str, Sequence[Change]]) -> None:
        """Log what is new; between some lines, clients come first.

        Args:
            steps: What became of each issuer, in the order in which it happened.
            findings: The findings that are new, by the issuer's path.
        """
        first = not self._loaded and bool(self._catalog.current.entries)
        changes = [(step.issuer.path, change) for step in steps for change in step.news.changes]
        changes += [(path, finding) for path, found in findings.items() for finding in found]
        many = first and sum(_level(change) in _LISTED for _, change in changes) > _LISTED_AT_START
        paused = time.monotonic()
        for path, change in changes:
            level = _level(change)
            getattr(_log_of(path), "debug" if many and level in _LISTED else level)(change.event, **change.fields)
            if time.monotonic() - paused > _SLICE_SECONDS:
                await asyncio.sleep(0)
                paused = time.monotonic()
        for path, step in {step.issuer.path: step for step in reversed(steps)}.items():  # each issuer's first step
            self._log_faults(path, step.before, step.issuer.evaluation.faults)
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
