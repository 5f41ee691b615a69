"""All issuers in outline: which one needs attention, what comes next, and which of them a page shows."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jwks_server.keys.keyset import Key
from jwks_server.keys.lint import OF_THE_SET
from jwks_server.keys.verdict import Verdict
from jwks_server.serving.page.life import moments
from jwks_server.serving.slices import Facts, Steps
from jwks_server.stats import IssuerReload

PAGE_ISSUERS = 20
_MAX_QUERY, _MAX_DIGITS = 200, 9


class Note(NamedTuple):
    """What is wrong with an issuer, or will likely hurt someone: how bad, its code, its subject and one sentence.

    ``of_file`` says whether it is the reason of a verdict.
    """

    level: str
    code: str
    subject: str
    reason: str
    of_file: bool = False


class Upcoming(NamedTuple):
    """What becomes of a key, and when, in seconds since the epoch."""

    at: float
    issuer: str
    kid: str
    becomes: str


class Outline(NamedTuple):
    """An issuer in outline.

    Attributes:
        notes: What needs attention, the worst first.
        upcoming: What becomes of its keys.
        stages: The number of its keys by stage.
        publishes: Whether it has a set.
        keys: Its keys, in or before its set.
        files: The verdicts, the worst first.
        reload: Its last reload.
    """

    notes: tuple[Note, ...]
    upcoming: tuple[Upcoming, ...]
    stages: Counter[str]
    publishes: bool
    keys: tuple[Key, ...]
    files: tuple[Verdict, ...]
    reload: IssuerReload | None


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What is known of all issuers. It is replaced when anything changes, so two are equal if they are the same one.

    Attributes:
        facts: What is known of each one.
        outlines: Each one in outline.
        order: Their paths: those that need attention first, then by name.
        upcoming: What becomes of all keys, in order.
        notes: What needs attention, with the issuer; by level and code.
        stages: The number of keys by stage.
        sets: How many issuers have a set.
    """

    facts: Mapping[str, Facts] = field(default_factory=dict)
    outlines: Mapping[str, Outline] = field(default_factory=dict)
    order: Sequence[str] = ()
    upcoming: Sequence[Upcoming] = ()
    notes: Mapping[tuple[str, str], Sequence[tuple[str, Note]]] = field(default_factory=dict)
    stages: Counter[str] = field(default_factory=Counter)
    sets: int = 0

    def passed(self, now: float) -> int:
        """Count the moments that have passed: when it changes, a key is in another part of its life."""
        return bisect_right(self.upcoming, now, key=lambda one: one.at)

    def next(self, now: float) -> Upcoming | None:
        """Return what comes next."""
        place = self.passed(now)
        return self.upcoming[place] if place < len(self.upcoming) else None


class Query(NamedTuple):
    """Which issuers to show: those with a text in their path, and of these one page."""

    text: str = ""
    page: int = 1


class Shown(NamedTuple):
    """The issuers of a page.

    Attributes:
        paths: The issuers' paths.
        found: How many match the query.
        page: The page's number, from 1 on.
        pages: How many pages there are.
    """

    paths: Sequence[str]
    found: int
    page: int
    pages: int


LEVELS = ("error", "warning")
# The verdicts that ask for something, the worst first.
WORST = ("refused", "kept", "duplicate", "revoked", "removed")


def query(text: str, page: str) -> Query:
    """Read a query as it is in a URL; a page that is not a number is the first one."""
    number = int(page) if page.isascii() and page.isdigit() and len(page) <= _MAX_DIGITS else 1
    return Query(text.strip()[:_MAX_QUERY], max(1, number))


def outline(issuer: str, facts: Facts) -> Steps[Outline]:
    """Outline an issuer."""
    evaluation = facts.evaluation
    keyset = evaluation.keyset if evaluation and evaluation.decided_at is not None else None
    served = evaluation.served if evaluation else None
    keys = (*(served.keys if served else ()), *(keyset.pending if keyset else ()))
    stages: Counter[str] = Counter()
    upcoming: list[Upcoming] = []
    for key in keys:
        stages[key.state] += 1
        upcoming += (Upcoming(at, issuer, key.kid, becomes) for at, becomes in moments(key))
        yield
    notes = [Note("error", one.code, "", one.message) for one in facts.faults]
    files = sorted(evaluation.verdicts, key=_rank) if evaluation else []
    for verdict in files:
        if verdict.error:
            level = "error" if verdict.outcome == "refused" else "warning"
            notes.append(Note(level, verdict.error.code, verdict.file, verdict.error.message, of_file=True))
        yield
    for one in evaluation.findings if evaluation else ():
        subject = "" if one.subject == OF_THE_SET else one.subject
        notes.append(Note("warning", one.code, subject, one.reason))
    publishes = facts.entry is not None
    return Outline(tuple(notes), tuple(upcoming), stages, publishes, keys, tuple(files), facts.reload)


def _rank(verdict: Verdict) -> int:
    return WORST.index(verdict.outcome) if verdict.outcome in WORST else len(WORST)


def survey(facts: Mapping[str, Facts], outlines: Mapping[str, Outline]) -> Steps[Survey]:
    """Put the outlines together."""
    upcoming: list[Upcoming] = []
    notes: dict[tuple[str, str], list[tuple[str, Note]]] = {}
    stages: Counter[str] = Counter()
    ranks: dict[str, int] = {}
    sets = 0
    for path, one in outlines.items():
        upcoming += one.upcoming
        stages.update(one.stages)
        sets += one.publishes
        ranks[path] = min((LEVELS.index(note.level) for note in one.notes), default=len(LEVELS))
        for note in one.notes:
            notes.setdefault((note.level, note.code), []).append((path, note))
        yield
    upcoming.sort()
    yield
    order = sorted(ranks, key=lambda path: (ranks[path], path))
    yield
    worst_first = dict(sorted(notes.items(), key=lambda item: (LEVELS.index(item[0][0]), -len(item[1]), item[0][1])))
    return Survey(facts, outlines, order, upcoming, worst_first, stages, sets)


def shown(survey: Survey, asked: Query) -> Steps[Shown]:
    """Choose the issuers that a page shows."""
    wanted = asked.text.casefold()
    found = []
    for path in survey.order:
        if wanted in path.casefold():
            found.append(path)
        yield
    pages = max(1, -(-len(found) // PAGE_ISSUERS))
    page = min(asked.page, pages)
    return Shown(found[(page - 1) * PAGE_ISSUERS : page * PAGE_ISSUERS], len(found), page, pages)
