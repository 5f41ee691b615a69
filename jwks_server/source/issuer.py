"""One issuer's life: what was seen of its folder, and the time -> the set to publish, and what to log."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from jwks_server.errors import IssuerNameInvalid, JwksError, NoKeys
from jwks_server.keys.build import build
from jwks_server.keys.changes import Change, file_changes, key_changes
from jwks_server.keys.grace import Held, settle
from jwks_server.keys.keyset import KeyFile, KeySet
from jwks_server.keys.lint import Finding, lint
from jwks_server.keys.policy import Policy
from jwks_server.keys.table import FILE_NAME
from jwks_server.options.settings import Timing
from jwks_server.published.catalog import Entry
from jwks_server.published.pages import Endpoint, pages
from jwks_server.source.decided import Decided
from jwks_server.source.directory import Seen
from jwks_server.source.folder import Scan
from jwks_server.source.mounts import Mount, subpaths

# How long a name that vanished is waited for: some writers delete a file before they create it anew.
_GONE_SECONDS = 0.06
# Certificates come near their end without anything else changing.
_LINT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class News:
    """What a step gives.

    Attributes:
        entry: What to publish, if anything is different.
        changes: What to log.
        gone: Whether the issuer is no more.
    """

    entry: Entry | None = None
    changes: tuple[Change, ...] = ()
    gone: bool = False


class Issuer:
    """One issuer.

    Args:
        path: Its path: ``/``, or ``/`` and its folder's name.
        folder: Where its keys are.
        defaults: What the operator decided, where its ``jwks.toml`` says nothing.
        endpoint: Where and how its set is served.
        timing: How long things take.
        remembered: What it published before a restart.

    Attributes:
        faults: What is wrong, by code.
        due: When the next step must be, in seconds since the epoch, if nothing happens before.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it ties together
        self,
        path: str,
        folder: Path,
        defaults: Policy,
        endpoint: Endpoint,
        timing: Timing,
        remembered: KeySet | None,
    ) -> None:
        self.path = path
        self.faults: Mapping[str, JwksError] = {}
        self.due = math.inf
        self._folder = folder
        self._decided = Decided(defaults)
        self._endpoint = endpoint
        self._timing = timing
        self._remembered = remembered
        self._retains = defaults.retain > 0 and remembered is not None
        self._wrong: Mapping[str, JwksError] = {}
        self._held: Mapping[str, Held[KeyFile]] = {}
        self._files: Mapping[str, KeyFile] | None = None
        self._built: KeySet | None = None
        self._findings: tuple[Finding, ...] = ()
        self._gone_since: float | None = None
        self._settles_at: float | None = None
        self._next_build = math.inf

    @property
    def keyset(self) -> KeySet | None:
        """What a restart must know: the last set, or, before there is one, what was remembered."""
        return self._built or self._remembered

    @property
    def awaited(self) -> bool:
        """Whether it will have pages once there is a good key."""
        return IssuerNameInvalid.code not in self.faults

    def step(self, seen: Seen | None, now: float, served: Entry | None, *, alone: bool) -> News:
        """Take in what was seen of the folder, and the time.

        Args:
            seen: What the folder holds, or what is wrong with it; None where it couldn't be looked at.
            now: In seconds since the epoch.
            served: What is published now.
            alone: Whether it is an issuer whatever its folder holds, since there is no other.
        """
        changed = False
        self._settles_at = None  # what is waited for shows only in the next look
        if isinstance(seen, Scan):
            changed = seen.there and self._take(seen, now)
            if self._is_gone(seen, now, waits=bool(served) or alone or self._retains):
                return self._end(served)
        elif seen:
            self._wrong = {seen.code: seen}
        policy = self._decided.current
        news: News = News()
        if self._files is not None and policy is not None and (changed or now >= self._next_build):
            news = self._build(self._files, policy, now, served)
        held = self._built is not None and self._built.held
        self.faults = {**self._wrong, **({NoKeys.code: self._no_keys()} if held else {})}
        self.due = min(self._next_build, math.inf if self._settles_at is None else self._settles_at)
        return news

    def lint(self, mounts: Collection[Mount], now: float) -> tuple[Change, ...]:
        """Look a set that was just published over; tell what was not found in the last one."""
        keyset, files = self._built, self._files or {}
        if keyset is None:
            return ()
        own = subpaths(self._folder, mounts) & {".", FILE_NAME, *files}
        findings = lint(keyset, files.values(), own, now)
        new = tuple(Change("warning", asdict(finding)) for finding in findings if finding not in self._findings)
        self._findings = findings
        return new

    def _is_gone(self, scan: Scan, now: float, *, waits: bool) -> bool:
        """Tell whether there is no such issuer any more; a folder that vanished is waited for like a file.

        One that is there and empty is none, unless it ``waits`` for keys: no set that is served is lost so.
        """
        if scan.there:
            self._gone_since = None
            return scan.empty and not waits and not self._files
        self._gone_since = now if self._gone_since is None else min(self._gone_since, now)
        self._settles_at = self._gone_since + (0.0 if scan.whole else _GONE_SECONDS)
        return now >= self._settles_at

    def _take(self, scan: Scan, now: float) -> bool:
        """Settle what a scan saw; tell whether there is something new to build from."""
        waits = {"bad_for": self._timing.grace_period, "gone_for": 0.0 if scan.whole else _GONE_SECONDS}
        settled = settle(scan.files, self._held, now, **waits)
        before = self._files, self._decided.current
        wrong = self._decided.update(scan.policy, now, **waits)
        self._files, self._held = settled.items, settled.held
        self._settles_at = min((end for end in (settled.until, self._decided.until) if end is not None), default=None)
        self._wrong = {wrong.code: wrong} if wrong else {}
        return before != (self._files, self._decided.current)

    def _build(self, files: Mapping[str, KeyFile], policy: Policy, now: float, served: Entry | None) -> News:
        keyset = build(files.values(), policy, self.keyset, now, self._timing.propagation)
        changes = tuple(file_changes(self._built, keyset))
        self._built = keyset
        self._next_build = min(now + _LINT_SECONDS, keyset.max_age_until(now) or math.inf)
        if keyset.held and not served:
            # With nothing served yet there is nothing to hold: what was remembered is not what the files say.
            return News(changes=changes)
        max_age = keyset.max_age(now)
        rendered = pages(self.path, keyset, max_age, self._endpoint, served.pages if served else {})
        changes += tuple(key_changes(served.keyset if served else None, keyset))
        return News(Entry(keyset, max_age, rendered), changes)

    def _end(self, served: Entry | None) -> News:
        self.faults = {}
        withdrawn = key_changes(served.keyset, KeySet((), served.keyset.policy)) if served else ()
        return News(changes=(*withdrawn, Change("issuer-withdrawn", {})) if served else (), gone=True)

    def _no_keys(self) -> NoKeys:
        return NoKeys(
            f"No file in {self._folder} gives a key, and a set without any would lock every user out; "
            "put a key there, or start with --allow-empty."
        )
