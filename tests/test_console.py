"""What a terminal can show. What goes wrong with descriptors is in test_wrong_usage_processes.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.console import columns, laid_out, wrapped

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=1)


@pytest.mark.parametrize(
    ("text", "expected"), [("abc", 3), ("", 0), ("鍵", 2), ("e\u0301", 1), ("\uff57", 2), ("ä", 1)]
)
def test_columns(text: str, expected: int) -> None:
    """Wide characters take two columns, combining ones none."""
    assert columns(text) == expected


@given(WORDS, st.integers(1, 100))
def test_wrapping_keeps_words(words: list[str], limit: int) -> None:
    """No word is broken or lost, and a line is too wide only if it is one word."""
    lines = list(wrapped(" ".join(words), limit))
    assert " ".join(lines).split(" ") == words
    assert all(columns(line) <= limit or " " not in line for line in lines)


@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=5), st.integers(20, 100))
def test_rows_keep_words(cells: list[str], limit: int) -> None:
    """A row's cells stand below their columns or on further lines; none is lost."""
    lines = list(laid_out(cells, [8] * len(cells), limit))
    assert " ".join(lines).split() == " ".join(cells).split()


def test_cells_stand_below_their_columns() -> None:
    """Short cells are aligned; a cell that doesn't fit starts a line; an empty one leaves its place."""
    assert list(laid_out(["a", "", "c"], [3, 3, 3], 80)) == ["a         c"]
    assert list(laid_out(["鍵", "b"], [3, 3], 80)) == ["鍵   b"]
    assert list(laid_out(["long name", "b c d"], [3, 3], 12)) == ["long name", "    b c d"]
