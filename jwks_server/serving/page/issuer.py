"""One issuer: its keys on a time line, each file with its verdict and the way out, its findings."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from jwks_server.keys.keyset import Key
from jwks_server.keys.verdict import Verdict
from jwks_server.serving.page.html import Html, element, join
from jwks_server.serving.page.life import moments, phase, word
from jwks_server.serving.page.moments import moment
from jwks_server.serving.page.outline import WORST, Outline
from jwks_server.serving.page.table import table
from jwks_server.serving.page.timeline import axis, bar
from jwks_server.serving.slices import Facts, Steps

# The most rows of a table; /status has all.
MAX_ROWS = 100
_LINE = join((element("span", "Time line", class_="unseen"), axis()))
_KEY_COLUMNS = {"key": "Key", "stage": "Stage", "line": _LINE, "next": "Next"}
_FILE_COLUMNS = {"file": "File", "verdict": "Verdict", "what": "What it means, and the way out"}
# With one of these the files are shown at once.
_OPEN = WORST[:3]


def issuer(path: str, facts: Facts, outline: Outline, now: float) -> Steps[Html]:
    """Write about an issuer."""
    name = "i" + hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    keys, files = outline.keys, outline.files
    rows = []
    for key in keys[:MAX_ROWS]:
        rows.append(_key(key, now))
        yield
    lines = []
    for verdict in files[:MAX_ROWS]:
        lines.append(_file(verdict, now))
        yield
    about = element("p", *_about(facts, len(keys), now), class_="about")
    return element(
        "article",
        element("header", element("h3", element("code", path), id=f"{name}-name"), about),
        _notes(outline),
        table(f"Keys of {path}", _KEY_COLUMNS, rows, class_="keys") if rows else None,
        _more(len(keys)),
        _files(name, path, files, lines),
        id=name,
        class_="issuer",
        aria_labelledby=f"{name}-name",
    )


def _about(facts: Facts, keys: int, now: float) -> Iterator[object]:
    keyset, reload = (facts.entry.keyset if facts.entry else None), facts.reload
    yield f"{keys} key{'' if keys == 1 else 's'}"
    if keyset is None:
        yield " · no set is published yet"
    else:
        yield f" · max-age {keyset.policy.max_age} s · digest "
        yield element("code", keyset.digest[:8])
    if keyset and keyset.held:
        yield " · held: the files give no key, so the last keys stay"
    if reload:
        words = {"published": "changed", "failed": "failing", "unchanged": "unchanged"}
        yield f" · {words.get(reload.outcome, reload.outcome)} "
        yield moment(reload.at if reload.failing_since is None else reload.failing_since, now)


def _notes(outline: Outline) -> Html | None:
    """Say what concerns the whole issuer, and its findings; what is wrong with a file is in the files' table."""
    notes = [
        element(
            "li",
            element("strong", note.code, class_=note.level),
            *((" ", element("code", note.subject)) if note.subject else ()),
            f" {note.reason}",
        )
        for note in outline.notes
        if not note.of_file
    ]
    return element("ul", *notes[:MAX_ROWS], class_="notes") if notes else None


def _key(key: Key, now: float) -> Sequence[object]:
    now_in = phase(key, now)
    ahead = [one for one in moments(key) if one.at > now]
    end = key.public.not_after
    return (
        join(
            (
                element("code", key.kid, class_="kid"),
                element("span", f"{key.alg} · {key.use} · ", element("code", key.file), class_="minor"),
            )
        ),
        element("span", word(now_in, key.use), class_=f"badge {now_in}"),
        bar(key, now),
        join(
            (
                *(element("span", f"{one.becomes} ", moment(one.at, now), class_="event") for one in ahead),
                None if ahead else element("span", "no change is planned", class_="minor"),
                None if end is None else element("span", "certificate ends ", moment(end, now), class_="minor"),
            )
        ),
    )


def _files(name: str, path: str, files: Sequence[Verdict], rows: Sequence[Sequence[object]]) -> Html | None:
    if not files:
        return None
    numbers = Counter(one.outcome for one in files)
    told = ", ".join(f"{count} {outcome}" for outcome, count in numbers.items())
    return element(
        "details",
        element("summary", f"Files: {told}", id=f"{name}-files"),
        table(f"Files of {path}", _FILE_COLUMNS, rows, class_="files"),
        _more(len(files)),
        open=any(one.outcome in _OPEN for one in files),
    )


def _file(verdict: Verdict, now: float) -> Sequence[object]:
    kids = [element("code", kid, class_="kid") for kid in islice(verdict.kids, MAX_ROWS)]
    return (
        join((element("code", verdict.file), *kids)),
        element("span", verdict.outcome, class_=f"badge {verdict.outcome}"),
        join(_meaning(verdict, now)),
    )


def _meaning(verdict: Verdict, now: float) -> Iterator[object]:
    until = None if verdict.until is None else moment(verdict.until, now)
    match verdict.outcome:
        case "published":
            yield from ("In the set; it leaves it ", until, ".") if until else ("In the set.",)
        case "pending":
            yield from ("It is published ", until, ".") if until else ("Not published yet.",)
        case "retiring":
            yield "The file is gone, and its key still verifies"
            yield from ("; it leaves the set ", until, ".") if until else (".",)
        case "removed":
            yield "Its remove_at has come; delete the file."
        case "revoked":
            yield "Revoked in jwks.toml; delete the file."
        case "duplicate":
            yield from ("The same key as in ", element("code", verdict.duplicate_of), "; delete one of the two.")
        case "kept":
            yield "The last good version stays"
            yield from (", and ends ", until, ". ") if until else (". ",)
        case "refused":
            pass
    if verdict.error:
        yield from (element("strong", verdict.error.code, class_="error"), " ", verdict.error.message)


def _more(number: int) -> Html | None:
    """Say what a table leaves out."""
    if number <= MAX_ROWS:
        return None
    return element(
        "p", f"The first {MAX_ROWS} of {number}; ", element("a", "/status", href="status"), " has all.", class_="minor"
    )
