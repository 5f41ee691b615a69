"""All issuers of a key directory. ``serve`` and every command evaluate a directory through this one class."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jwks_server.errors import JwksError
from jwks_server.keys.changes import Change
from jwks_server.keys.evaluation import Rules
from jwks_server.keys.observation import Observation
from jwks_server.options.settings import Settings
from jwks_server.published.catalog import ROOT, Entry
from jwks_server.published.pages import Endpoint
from jwks_server.source import mounts
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.issuer import Issuer, News
from jwks_server.source.remembered import Remembered
from jwks_server.source.state import StateFile
from jwks_server.source.triggers import Files


@dataclass(frozen=True, slots=True)
class Step:
    """One issuer's part of a reload.

    Attributes:
        issuer: The issuer, after the step.
        news: What the step gave.
        before: What was wrong before it, by code.
        rebuilt: Whether its set is another one than before.
        changed: Whether anything is another than before: most issuers that a rescan looks at are as they were.
    """

    issuer: Issuer
    news: News
    before: Mapping[str, JwksError]
    rebuilt: bool
    changed: bool = True


class Issuers:
    """The issuers by their path.

    Args:
        directory: Where the key files are.
        rules: What the operator decided at the start.
        endpoint: Where and how each set is served.
        remembered: What was published before a restart.
    """

    def __init__(self, directory: Directory, rules: Rules, endpoint: Endpoint, remembered: Remembered) -> None:
        self.by_path: dict[str, Issuer] = {}
        self.remembered = remembered
        self._directory = directory
        self._rules = rules
        self._endpoint = endpoint

    def due(self, paths: Iterable[str], now: float) -> set[str]:
        """Return those of some paths whose issuers time alone changes.

        Args:
            paths: The paths to look at.
            now: In seconds since the epoch.
        """
        return {path for path in paths if path in self.by_path and now >= self.by_path[path].evaluation.due}

    def step_forward(self, seconds: float) -> Sequence[str]:
        """Take note that the time went forward by more than what passed: no grace period ends early.

        Args:
            seconds: By how much more.

        Returns:
            The paths of the issuers that wait for something.
        """
        return [path for path, issuer in self.by_path.items() if issuer.step_forward(seconds)]

    def waits_for(self, due: Iterable[str]) -> Files:
        """Return the names of the files that must be looked at when the time of these issuers has come.

        Returns:
            By the issuer's path; None for the whole folder.
        """
        return {path: self.by_path[path].waits_for for path in due}

    def take(
        self, seen: Mapping[str, Seen], due: Collection[str], now: float, entries: Mapping[str, Entry]
    ) -> Sequence[Step]:
        """Evaluate the issuers that were observed, and those whose time has come.

        Args:
            seen: What was seen, by the issuer's path.
            due: The paths of issuers whose time has come.
            now: In seconds since the epoch.
            entries: What is published now, by the issuer's path.
        """
        # The directory itself comes last: without keys of its own it is an issuer only if there is no other.
        paths = sorted({*seen, *due}, key=lambda path: (path == ROOT, path))
        steps = [step for path in paths if (step := self._step(path, seen.get(path), now, entries.get(path)))]
        if any(isinstance(one, Observation) and not one.empty for one in seen.values()):
            self.remembered.drop()  # what no issuer has taken by now belongs to folders that are gone
        return steps

    def lint(self, paths: Collection[str], now: float) -> Mapping[str, tuple[Change, ...]]:
        """Check issuers; return the findings that are new, by the issuer's path."""
        table = mounts.table()
        return {path: self.by_path[path].lint(table, now) for path in paths if path in self.by_path}

    def _step(self, path: str, seen: Seen | None, now: float, served: Entry | None) -> Step | None:
        """Evaluate one issuer; return None if there is no such issuer."""
        alone = path == ROOT and not self.by_path.keys() - {ROOT}
        issuer = self.by_path.get(path)
        known = issuer is not None
        if issuer is None:
            issuer = Issuer(path, self._directory.folder(path), self._rules, self._endpoint, self.remembered.peek(path))
        before = issuer.evaluation
        news = issuer.step(seen, now, served, alone=alone)
        if news.gone:
            self.by_path.pop(path, None)
            return Step(issuer, news, before.faults, rebuilt=True) if known else None
        if not known:
            self.by_path[path] = issuer
            self.remembered.take(path)
        after = issuer.evaluation
        changed = not known or after is not before
        return Step(issuer, news, before.faults, rebuilt=after.keyset is not before.keyset, changed=changed)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An issuer as a command sees it.

    Attributes:
        issuer: The issuer, with its evaluation.
        entry: What would be published; None if nothing would be.
        fault: Why nothing would be published.
    """

    issuer: Issuer
    entry: Entry | None
    fault: JwksError | None


def evaluated(settings: Settings) -> Mapping[str, Evaluated]:
    """Read the key directory once, and evaluate it as ``serve`` does when it starts.

    Args:
        settings: Those of ``serve``.

    Returns:
        The issuers by their path, in order.

    Raises:
        DirectoryMissing: There is nothing at the path.
        DirectoryUnreadable: The directory can't be read.
        StateDamaged: The state file isn't what the server writes.
        StateUnusable: The state file can't be read.
    """
    directory = directory_of(settings)
    seen, now = directory.read(), time.time()
    before = StateFile(settings.state).load(set_aside=False) if settings.state else {}
    endpoint = Endpoint(settings.path, settings.media_type)
    issuers = Issuers(directory, rules_of(settings), endpoint, Remembered(None, before))
    steps = issuers.take(seen, (), now, {})
    issuers.lint([step.issuer.path for step in steps], now)
    found = {
        step.issuer.path: Evaluated(
            step.issuer, step.news.entry, next(iter(step.issuer.evaluation.faults.values()), None)
        )
        for step in steps
    }
    return {path: found[path] for path in sorted(found)}


@dataclass(frozen=True, slots=True)
class Published:
    """What would be published, and why the rest would not be; both by the issuer's path."""

    entries: Mapping[str, Entry]
    faults: Mapping[str, JwksError]


def published(settings: Settings) -> Published:
    """Do the same as ``evaluated``, for commands that need only what would be published."""
    found = evaluated(settings)
    return Published(
        {path: one.entry for path, one in found.items() if one.entry},
        {path: one.fault for path, one in found.items() if one.fault},
    )


def set_path(issuer: str, settings: Settings) -> str:
    """Return the URL path of an issuer's JWK Set."""
    return issuer.rstrip("/") + settings.path


def directory_of(settings: Settings) -> Directory:
    """Make the directory that the settings name."""
    return Directory(
        settings.directory,
        settings.patterns,
        passphrase=settings.passphrase,
        passphrase_file=settings.passphrase_file,
    )


def rules_of(settings: Settings) -> Rules:
    """Take what an evaluation needs out of the settings."""
    return Rules(settings.policy, settings.timing.grace_period, settings.timing.propagation)
