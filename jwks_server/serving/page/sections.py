"""The sections about the whole program: its state, what needs attention, its traffic."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from jwks_server.serving.certificate import Certificate
from jwks_server.serving.page.html import Html, element, join
from jwks_server.serving.page.moments import duration, moment
from jwks_server.serving.page.outline import Note, Survey
from jwks_server.serving.page.rates import Rates
from jwks_server.serving.page.table import table
from jwks_server.serving.status import Reported
from jwks_server.stats import Reloads

_EXAMPLES = 5
_NOTE_COLUMNS = {"code": "Code", "where": "Where", "what": "What it is, and the way out"}
_RATE_COLUMNS = {"status": "Status", "by": "Served by", "rate": "Per second", "total": "In total"}


def section(name: str, heading: str, *children: object, now: float, **attributes: object) -> Html:
    """Write a section, which an event can replace."""
    title = element("h2", heading, id=f"{name}-title")
    return element(
        "section", title, *children, id=name, aria_labelledby=f"{name}-title", data_now=f"{now:.3f}", **attributes
    )


def state(reported: Reported, survey: Survey, now: float) -> Html:
    """Write what is not about one issuer."""
    unready = reported.unready()
    words = "draining" if reported.connections.draining else "not ready" if unready else "ready"
    return section(
        "state",
        "State",
        element(
            "p",
            element("strong", words, class_=f"badge {'published' if not unready else 'refused'}"),
            f" {unready}" if unready else None,
            class_="readiness",
        ),
        element(
            "dl",
            _fact("Next change", *_next(survey, now)),
            _fact("Issuers", *_numbers(reported, survey)),
            _fact("Last reload", *_reload(reported.reloads, now)),
            _fact("Directory", *_watch(reported.reloads, now)),
            _fact("TLS certificate", *_certificate(reported.certificate, now)),
        ),
        now=now,
    )


def _fact(term: str, value: object, *details: object) -> Html:
    return element("div", element("dt", term), element("dd", element("span", value, class_="value"), *details))


def _minor(*children: object) -> Html:
    return element("span", *children, class_="minor")


def _next(survey: Survey, now: float) -> Sequence[object]:
    if (one := survey.next(now)) is None:
        return "none planned", _minor("Time alone changes nothing.")
    about = (element("code", one.kid, class_="kid"), " of ", element("code", one.issuer), f" {one.becomes}")
    return moment(one.at, now), _minor(*about)


def _numbers(reported: Reported, survey: Survey) -> Sequence[object]:
    stages = ", ".join(f"{number} {stage}" for stage, number in survey.stages.items() if number)
    failing = len(reported.reloads.faults)
    keys = sum(survey.stages.values())
    return (
        f"{survey.sets}" + (f" of {len(survey.order)}" if survey.sets < len(survey.order) else ""),
        _minor(f"{keys} key{'' if keys == 1 else 's'}" + (f": {stages}" if stages else "")),
        element("span", f"{failing} failing", class_="error") if failing else None,
    )


def _reload(reloads: Reloads, now: float) -> Sequence[object]:
    if reloads.last is None:
        return "none yet", None
    at, trigger, outcome = reloads.last
    good = reloads.last_success
    return (
        join((f"{outcome} ", moment(at, now))),
        _minor(f"by {trigger.replace('+', ' and ')}"),
        None if good is None or not reloads.faults else _minor("last without a fault ", moment(good, now)),
    )


def _watch(reloads: Reloads, now: float) -> Sequence[object]:
    pace, scan = reloads.pace, reloads.last_scan
    return (
        "followed by events" if reloads.watch == "events" else "read periodically",
        None if pace is None else _minor(f"rescan every {duration(pace.every)}: {pace.reason}"),
        None if scan is None else _minor("read as a whole ", moment(scan, now)),
    )


def _certificate(certificate: Certificate | None, now: float) -> Sequence[object]:
    if certificate is None:
        return "none", _minor("The public listener speaks plain HTTP.")
    period = certificate.validity
    ends = "loaded" if period is None else join(("ends ", moment(period.not_after, now)))
    faults = (
        element("span", element("strong", one.code), f" {one.message}", class_="error") for one in certificate.faults
    )
    return ends, _minor(element("code", certificate.file)), _minor("loaded ", moment(certificate.loaded, now)), *faults


def attention(survey: Survey, early: Mapping[str, float], now: float) -> Html:
    """Write what is wrong, and what will likely hurt someone: by code, so that a thousand issuers are a few lines."""
    rows = [_early(path, until, now) for path, until in early.items() if until > now][:_EXAMPLES]
    rows += (_noted(level, code, notes) for (level, code), notes in survey.notes.items())
    if not rows:
        content = element("p", "Nothing needs attention.", class_="calm")
    else:
        content = table("Faults, refused files and findings", _NOTE_COLUMNS, rows, class_="attention")
    return section("attention", "Attention", content, now=now)


def _early(path: str, until: float, now: float) -> Sequence[object]:
    way_out = ("All keys were replaced at once; wait before you sign, until one is safe ", moment(until, now), ".")
    strong = element("strong", "signing-too-early", class_="error")
    return strong, element("a", element("code", path), href=_only(path)), join(way_out)


def _noted(level: str, code: str, notes: Sequence[tuple[str, Note]]) -> Sequence[object]:
    places = [
        element(
            "li",
            element("a", element("code", path), href=_only(path)),
            *((" ", element("code", note.subject)) if note.subject else ()),
        )
        for path, note in notes[:_EXAMPLES]
    ]
    left = len(notes) - _EXAMPLES
    return (
        element("strong", code, class_=level),
        element("ul", *places, element("li", f"and {left} more") if left > 0 else None),
        notes[0][1].reason,
    )


def _only(path: str) -> str:
    """Return the page that shows an issuer, relative to this one: a proxy may put it below another path."""
    return "?" + urlencode({"q": path}, errors="surrogatepass") + "#issuers"


def traffic(rates: Rates, open_now: int, now: float) -> Html:
    """Write how much is asked."""
    lines = rates.lines
    rows = [
        (
            str(one.status),
            one.served_by,
            f"{one.rate:.1f}",
            f"{one.total:,}",
        )
        for one in lines
    ]
    total = sum(one.rate for one in lines)
    note = element(
        "p",
        element("span", f"{total:.1f}", class_="value"),
        f" answers a second on the public listener, over the last {duration(max(1.0, rates.seconds))}; "
        f"{open_now} connection{'' if open_now == 1 else 's'} open",
    )
    content = table("Answers by status and by what served them", _RATE_COLUMNS, rows, class_="rates") if rows else None
    return section("traffic", "Traffic", note, content, now=now)
