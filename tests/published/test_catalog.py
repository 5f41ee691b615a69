"""The catalog: editions are replaced as a whole."""

from jwks_server.keys.keyset import KeySet
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.published.freshness import Freshness
from jwks_server.published.representation import render


def entry(path: str) -> Entry:
    """Make an entry with one page."""
    return Entry(KeySet((), Policy()), {path: render(path.encode(), Freshness(300), "application/json")})


def test_before_the_first_set() -> None:
    """Nothing is served yet, and the key directory's own set is awaited."""
    current = Catalog().current
    assert not current.entries
    assert not current.pages
    assert current.awaited == {"/"}


def test_changes_come_all_at_once() -> None:
    """Several issuers change in one edition; the others stay; an edition that was taken before stays as it was."""
    catalog = Catalog()
    catalog.publish({"/": entry("/keys"), "/a": entry("/a/keys")})
    before = catalog.current
    catalog.publish({"/a": None, "/b": entry("/b/keys")}, frozenset({"/c"}))
    assert catalog.current.entries.keys() == {"/", "/b"}
    assert catalog.current.pages.keys() == {"/keys", "/b/keys"}
    assert catalog.current.awaited == {"/c"}
    assert before.pages.keys() == {"/keys", "/a/keys"}
    assert catalog.current.entries["/"] is before.entries["/"]


def test_each_publication_is_another_edition() -> None:
    """Even the same set again is another edition: who compares by identity, as the response cache, starts over."""
    catalog, same = Catalog(), entry("/keys")
    catalog.publish({"/": same})
    before = catalog.current
    catalog.publish({"/": same})
    assert catalog.current is not before
    assert catalog.current == before
