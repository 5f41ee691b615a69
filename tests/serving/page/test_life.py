"""The parts of a key's life."""

import pytest
from status_pages import a_key

from jwks_server.serving.page.life import Moment, moments, phase, spans, word


def test_published_then_safe() -> None:
    """A published key becomes safe to sign with, and stays so without an end."""
    one = a_key(first_published=100.0, safe_to_sign_at=200.0)
    assert spans(one) == (("published", 100, 200), ("safe", 200, None))
    assert [phase(one, now) for now in (150, 200)] == ["published", "safe"]
    assert moments(one) == ((200, "is safe to sign"),)


def test_removed_as_planned() -> None:
    """A key that leaves the set is gone afterwards; one that leaves before it is safe never is."""
    one = a_key(first_published=100.0, safe_to_sign_at=200.0, remove_at=300.0, retires_at=300.0)
    assert spans(one) == (("published", 100, 200), ("safe", 200, 300), ("gone", 300, None))
    assert phase(one, 300) == "gone"
    early = a_key(first_published=100.0, safe_to_sign_at=400.0, retires_at=300.0)
    assert spans(early) == (("published", 100, 300), ("gone", 300, None))
    assert moments(early) == (Moment(300, "leaves the set"),)


def test_pending() -> None:
    """A pending key is published at its time."""
    one = a_key(state="pending", publish_at=500.0)
    assert spans(one) == (("pending", None, 500), ("published", 500, None))
    assert (phase(one, 0), moments(one)) == ("pending", ((500, "is published"),))


@pytest.mark.parametrize("safe", [200.0, 900.0])
def test_retiring(safe: float) -> None:
    """A retiring key only verifies, until it is gone."""
    one = a_key(state="retiring", first_published=100.0, safe_to_sign_at=safe, retiring_since=300.0, retires_at=500.0)
    assert spans(one)[-2:] == (("retiring", 300, 500), ("gone", 500, None))
    assert [one.phase for one in spans(one)[:-2]] == (["published", "safe"] if safe < 300 else ["published"])
    assert (phase(one, 400), moments(one)) == ("retiring", ((500, "leaves the set"),))


def test_words() -> None:
    """Nobody signs with a key for encryption."""
    assert [word("safe"), word("safe", "enc"), word("retiring")] == ["safe to sign", "safe to use", "retiring"]
