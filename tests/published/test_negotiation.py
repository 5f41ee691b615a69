"""Request header lines -> the variant to send, and whether a condition holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.published.negotiation import choose, match, none_match
from jwks_server.published.representation import Variant


def coded(coding: str, size: int) -> Variant:
    """Make a variant of some size."""
    return Variant(coding, b"x" * size, "", {}, {})


VARIANTS = (coded("identity", 100), coded("gzip", 60), coded("br", 50))
INCOMPRESSIBLE = (coded("identity", 10), coded("gzip", 30), coded("br", 14))
ETAG = '"abc"'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["gzip"], "gzip"),
        (["GZIP"], "gzip"),
        (["x-gzip"], "gzip"),
        (["br"], "br"),
        (["gzip, deflate, br"], "br"),
        (["gzip", "br"], "br"),
        (["gzip;q=1, br;q=0.5"], "gzip"),
        (["gzip;q=0"], "identity"),
        (["gzip;q=0.000, br;q=0"], "identity"),
        (["gzip;q=0.001"], "gzip"),
        (["gzip ; Q=0.5 , identity"], "identity"),
        (["identity;q=0.5, gzip;q=0.5"], "gzip"),
        (["deflate"], "identity"),
        (["*"], "identity"),
        (["*;q=0.5, gzip"], "gzip"),
        (["*;q=0.5, identity;q=0.1"], "br"),
        (["identity;q=0, gzip"], "gzip"),
        (["identity;q=0, *"], "br"),
        (["*;q=0, gzip"], "gzip"),
        (["identity;q=0"], None),
        (["*;q=0"], None),
        (["identity;q=0, deflate"], None),
        (["gzip;q=2"], "identity"),
        (["gzip;q=abc, br"], "br"),
        (["gzip;q=0.1234"], "identity"),
        ([", ,gzip,,"], "gzip"),
        (["gz ip"], "identity"),
    ],
)
def test_choose(lines: list[str], expected: str | None) -> None:
    """The weights decide, then the size; nothing is compressed unasked (RFC 9110 section 12.5.3)."""
    chosen = choose(VARIANTS, lines)
    assert (chosen and chosen.coding) == expected


@pytest.mark.parametrize(("lines", "expected"), [(["gzip, br"], "identity"), (["gzip, identity;q=0"], "gzip")])
def test_compression_that_saves_nothing(lines: list[str], expected: str) -> None:
    """A coding that makes the body larger is used only where identity is ruled out."""
    chosen = choose(INCOMPRESSIBLE, lines)
    assert chosen is not None
    assert chosen.coding == expected


@given(st.lists(st.text(max_size=40), max_size=3))
def test_choose_takes_any_text(lines: list[str]) -> None:
    """Any header gives an answer, and never a coding that it doesn't name."""
    chosen = choose(VARIANTS, lines)
    if chosen and chosen.coding != "identity":
        assert chosen.coding in ",".join(lines).lower() or "*" in ",".join(lines)


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        ([], True),
        (['"abc"'], False),
        (['W/"abc"'], False),
        (["*"], False),
        ([" * "], False),
        (['"x", "abc"'], False),
        (['"x"', '"abc"'], False),
        (['"x" , , "abc"'], False),
        ([',, "abc"'], False),
        (['"x,y", "abc"'], False),
        (['garbage, "abc"'], False),
        (['"unclosed, "abc"'], False),
        (['"x"'], True),
        (["abc"], True),
        (['w/"abc"'], True),
        (['"ABC"'], True),
        ([""], True),
        (["garbage"], True),
        (['"'], True),
        (['"x", *'], True),
        (['"x,"abc""'], True),
    ],
)
def test_none_match(lines: list[str], holds: bool) -> None:
    """If-None-Match fails when a member names the tag, weakly compared (RFC 9110 section 13.1.2)."""
    assert none_match(lines, ETAG) is holds


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        ([], True),
        (["*"], True),
        (['"abc"'], True),
        (['"x"', '"abc"'], True),
        (['W/"abc"'], False),
        (['"x"'], False),
        ([""], False),
    ],
)
def test_match(lines: list[str], holds: bool) -> None:
    """If-Match holds when a member names the tag, strongly compared (RFC 9110 section 13.1.1)."""
    assert match(lines, ETAG) is holds


@given(st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_conditions_take_any_text(lines: list[str]) -> None:
    """Any header gives an answer, and no tag is found where its text isn't."""
    if ETAG not in ",".join(lines) and ",".join(lines).strip(" \t") != "*":
        assert none_match(lines, ETAG)
        assert not match(lines, ETAG)
