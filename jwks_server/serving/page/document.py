"""The whole page, and the list of the issuers."""

from collections.abc import Sequence
from urllib.parse import urlencode

from jwks_server import __version__
from jwks_server.keys.instants import utc
from jwks_server.serving.page.html import Html, element, join
from jwks_server.serving.page.issuer import issuer
from jwks_server.serving.page.moments import day, moment
from jwks_server.serving.page.outline import Query, Shown, Survey
from jwks_server.serving.page.timeline import legend, patterns
from jwks_server.serving.slices import Steps


def issuers(survey: Survey, asked: Query, shown: Shown, now: float) -> Steps[Html]:
    """Write the issuers of a page of the list."""
    written = []
    for path in shown.paths:
        written.append((yield from issuer(path, survey.facts[path], survey.outlines[path], now)))
        yield
    return element(
        "div",
        element("p", _found(survey, asked, shown), class_="minor"),
        legend() if written else None,
        *written,
        _pager(asked, shown),
        id="issuers",
        data_now=f"{now:.3f}",
    )


def _found(survey: Survey, asked: Query, shown: Shown) -> object:
    if not survey.order:
        return "There is no issuer yet; put a key into the directory."
    if not shown.found:
        return join(
            ("No issuer has ", element("code", asked.text), " in its path. ", element("a", "Show all", href="?"))
        )
    parts: list[object] = [f"{shown.found} of {len(survey.order)}" if asked.text else f"{shown.found}"]
    parts += [" with ", element("code", asked.text), " in the path"] if asked.text else []
    if shown.pages > 1:
        parts.append(f", page {shown.page} of {shown.pages}")
    if shown.found > 1:
        parts.append("; those that need attention come first")
    return join((*parts, "."))


def _pager(asked: Query, shown: Shown) -> Html | None:
    if shown.pages == 1:
        return None

    def link(label: str, page: int, rel: str) -> Html:
        if not 1 <= page <= shown.pages:
            return element("span", label, class_="minor", aria_disabled="true", role="link")
        return element("a", label, href=_page(asked.text, page), rel=rel, id=f"page-{rel}")

    return element(
        "nav",
        link("Previous page", shown.page - 1, "prev"),
        element("span", f"{shown.page} / {shown.pages}"),
        link("Next page", shown.page + 1, "next"),
        class_="pager",
        aria_label="Pages of issuers",
    )


def _page(text: str, number: int) -> str:
    return "?" + urlencode({**({"q": text} if text else {}), "page": number}, errors="surrogatepass") + "#issuers"


def search(text: str) -> Html:
    """Write the search, which needs no script. It is no part of the list, which events replace."""
    field = element("input", id="q", name="q", type="search", value=text, autocomplete="off", maxlength=200)
    label = element("label", "Issuers with this in their path", for_="q")
    return element("form", label, field, element("button", "Search"), action="./", method="get", role="search")


def document(parts: Sequence[Html], asked: Query, started: float, now: float) -> Html:
    """Write the page.

    Args:
        parts: What events can replace; the last one is the list of the issuers.
        asked: The query.
        started: When the program began, in seconds since the epoch.
        now: In seconds since the epoch.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("title", "jwks-server status"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="page.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="page.css"),
        element("script", src="page.js", type="module"),
    )
    banner = element(
        "header",
        element("h1", "jwks-server"),
        element(
            "p",
            f"{__version__} · started ",
            moment(started, now),
            " · ",
            element(
                "span",
                "as of ",
                element("span", day(now), class_="instant"),
                ", ",
                element("a", "load again", href=_here(asked)),
                id="live",
                role="status",
            ),
            class_="minor",
        ),
        class_="banner",
    )
    footer = element(
        "footer",
        "The same as data: ",
        element("a", "/status", href="status"),
        " · ",
        element("a", "/metrics", href="metrics"),
        " · Times are in UTC.",
    )
    listed = element(
        "section",
        element("h2", "Issuers", id="issuers-title"),
        search(asked.text),
        parts[-1],
        aria_labelledby="issuers-title",
    )
    body = element(
        "body",
        element("a", "Skip to the issuers", href="#issuers", class_="skip"),
        patterns(),
        banner,
        element("main", *parts[:-1], listed),
        footer,
        data_at=utc(now),
    )
    return join((Html("<!doctype html>"), element("html", head, body, lang="en")))


def _here(asked: Query) -> str:
    return _page(asked.text, asked.page).partition("#")[0] if asked != Query() else "./"
