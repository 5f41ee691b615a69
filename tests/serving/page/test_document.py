"""The whole page, and the list of the issuers."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from status_pages import ANYTHING, done, read, some_facts, surveyed

from jwks_server.serving.page.document import document, issuers
from jwks_server.serving.page.html import element
from jwks_server.serving.page.outline import PAGE_ISSUERS, Outline, Query, Survey, shown
from jwks_server.serving.slices import Facts

_EMPTY = Outline((), (), Counter(), publishes=False, keys=(), files=(), reload=None)


def listed(survey: Survey, asked: Query) -> str:
    """Write a page of the list."""
    return done(issuers(survey, asked, done(shown(survey, asked)), 0.0))


def many(number: int) -> Survey:
    """Survey issuers without keys."""
    paths = [f"/issuer{one:04}" for one in range(number)]
    return Survey(dict.fromkeys(paths, Facts(None, None, ())), dict.fromkeys(paths, _EMPTY), paths)


def test_page() -> None:
    """The page has landmarks, headings and its own files, and nothing that its policy forbids."""
    html = document([element("section", id="state"), element("div", id="issuers")], Query("acme", 2), 0.0, 60.0)
    tags = read(html).tags
    assert html.startswith('<!doctype html><html lang="en"><head><meta charset="utf-8">')
    names = [tag for tag, _ in tags]
    for tag in ("title", "header", "main", "footer", "h1", "h2", "form", "label"):
        assert names.count(tag) >= 1, tag
    assert names.count("main") == names.count("h1") == 1
    assert dict(tags)["script"] == [("src", "page.js"), ("type", "module")]
    assert not [name for _, attributes in tags for name, _ in attributes if name == "style" or name.startswith("on")]
    assert re.findall(r"(?:src|href)=\"(\w+:[^\"]*|/[^\"]*)\"", html) == []
    assert ("a", [("href", "?q=acme&page=2")]) in tags
    assert 'value="acme"' in html


def test_each_label_has_its_field() -> None:
    """Each label names a field, and each id is there once."""
    html = document([element("div", id="issuers")], Query(), 0.0, 0.0)
    ids = re.findall(r'(?<![\w-])id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'for="([^"]+)"', html)) <= set(ids)


@pytest.mark.parametrize(("page", "links"), [(1, ["next"]), (2, ["prev", "next"]), (3, ["prev"])])
def test_pages_of_the_list(page: int, links: list[str]) -> None:
    """However many issuers there are, a page shows a few, and links to the next ones need no script."""
    html = listed(many(2 * PAGE_ISSUERS + 1), Query("issuer", page))
    assert html.count("<article") == (1 if page == 3 else PAGE_ISSUERS)
    assert re.findall(r'rel="(\w+)"', html) == links
    assert f"{2 * PAGE_ISSUERS + 1} of {2 * PAGE_ISSUERS + 1} with " in html
    for number in {page - 1, page + 1} & {1, 2, 3}:
        assert f'href="?q=issuer&amp;page={number}#issuers"' in html


def test_what_was_found() -> None:
    """The list says how many issuers there are, that none was found, and what to do without one."""
    assert "There is no issuer yet" in listed(Survey(), Query())
    assert "No issuer has " in listed(many(3), Query("x"))
    assert "<nav" not in listed(many(3), Query())
    assert read(listed(surveyed({"/": some_facts("a.pem")}), Query())).content.startswith("1.")


@given(ANYTHING)
@settings(max_examples=30)
def test_any_search_is_escaped(text: str) -> None:
    """What somebody searches for is a text on the page and in its links."""
    survey = many(50)
    asked = Query(text[:200], 1)
    expected = [tag for tag, _ in read(document([element("div")], Query("x"), 0.0, 0.0)).tags]
    assert [tag for tag, _ in read(document([element("div")], asked, 0.0, 0.0)).tags] == expected
    assert "<script" not in listed(survey, asked)
