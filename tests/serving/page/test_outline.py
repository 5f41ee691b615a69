"""All issuers in outline: order, search, pages, what comes next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from status_pages import done, facts_of, some_facts, surveyed
from support import evaluated, key, public_pem

from jwks_server.errors import DirectoryMissing
from jwks_server.keys.evaluation import Evaluation, Finding
from jwks_server.keys.keyset import KeyFile, read_file
from jwks_server.keys.policy import Policy
from jwks_server.serving.page.outline import PAGE_ISSUERS, Query, Survey, outline, query, shown
from jwks_server.serving.slices import Facts


def test_what_needs_attention_comes_first() -> None:
    """Errors before warnings before the rest, then by name; equal codes are one note of several issuers."""
    bad = evaluated([KeyFile("a.pem"), read_file("bad.pem", b"nonsense", None)], Policy())
    warned = evaluated([read_file("a.pem", public_pem(key("P-256")), None)], Policy())
    facts = {
        "/good": some_facts("a.pem"),
        "/warned": facts_of(Evaluation(warned.keyset, serves=True, findings=(Finding("no-rsa", "set", "Hm."),))),
        "/z": facts_of(bad),
        "/b": some_facts("a.pem", faults=(DirectoryMissing("gone"),)),
        "/a": some_facts("a.pem", faults=(DirectoryMissing("gone"),)),
    }
    found = surveyed(facts)
    assert found.order == ["/a", "/b", "/z", "/warned", "/good"]
    assert [(*kind, [path for path, _ in notes]) for kind, notes in found.notes.items()] == [
        ("error", "directory-missing", ["/b", "/a"]),
        ("error", "pem-missing", ["/z"]),
        ("warning", "no-rsa", ["/warned"]),
    ]
    assert found.stages["published"] >= 3


def test_before_the_first_decision() -> None:
    """An issuer of which only a fault is known has no keys and is there."""
    found = surveyed({"/": Facts(None, None, (DirectoryMissing("gone"),))})
    assert (found.order, found.sets, found.upcoming) == (["/"], 0, [])


def test_next_change() -> None:
    """The moments of all keys are in order, and those that have passed are counted."""
    found = surveyed({"/a": some_facts("a.pem", now=100.0), "/b": some_facts("b.pem", now=50.0)})
    first, second = found.upcoming
    assert (first.at, first.issuer, first.becomes) == (50 + 300 + 900, "/b", "is safe to sign")
    assert [found.passed(now) for now in (0, first.at, second.at)] == [0, 1, 2]
    assert [found.next(now) for now in (0, first.at, second.at)] == [first, second, None]


def test_equal_by_what_is_shown() -> None:
    """An issuer that was evaluated again with the same result has the same outline."""
    one, again = (done(outline("/", some_facts("a.pem", "b.pem", now=1.0))) for _ in range(2))
    assert one == again
    assert one != done(outline("/", some_facts("a.pem", "b.pem", now=2.0)))


@given(st.text(max_size=300), st.text(max_size=20) | st.integers(-5, 10**20).map(str))
def test_any_query(text: str, page: str) -> None:
    """Whatever a URL holds, there is a page to show."""
    asked = query(text, page)
    assert asked.page >= 1
    assert len(asked.text) <= 200
    found = done(shown(Survey(order=[f"/issuer{number}" for number in range(50)]), asked))
    assert 1 <= found.page <= found.pages
    assert len(found.paths) <= PAGE_ISSUERS


@pytest.mark.parametrize(
    ("asked", "paths", "page", "pages"),
    [
        (Query(), ["/Issuer0", "/Issuer1"], 1, 3),
        (Query("", 3), ["/Issuer40", "/Issuer41"], 3, 3),
        (Query("", 99), ["/Issuer40", "/Issuer41"], 3, 3),
        (Query("issuer4", 1), ["/Issuer4", "/Issuer40"], 1, 1),
        (Query("nothing", 2), [], 1, 1),
    ],
)
def test_search_and_pages(asked: Query, paths: list[str], page: int, pages: int) -> None:
    """A search finds a part of a path in any case; a page after the last one is the last one."""
    found = done(shown(Survey(order=[f"/Issuer{number}" for number in range(45)]), asked))
    assert (list(found.paths[:2]), found.page, found.pages) == (paths, page, pages)
