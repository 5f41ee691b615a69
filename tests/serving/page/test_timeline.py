"""The drawing of a key's life, and what it says to those who don't see it."""

import itertools
import re

from status_pages import a_key

from jwks_server.serving.page.timeline import axis, bar, legend, told

_KEY = a_key(first_published=-3600.0, safe_to_sign_at=60.0, retires_at=86400.0)


def test_bar() -> None:
    """The parts follow each other, now is in the middle, and the next change is marked."""
    drawn = bar(_KEY, 0.0)
    parts = [
        (name, float(x), float(width))
        for x, width, name in re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"[^>]* class="(\w+)"', drawn)
    ]
    assert [name for name, _, _ in parts] == ["published", "safe", "gone"]
    for (_, x, width), (_, follows, _) in itertools.pairwise(parts):
        assert abs(x + width - follows) < 0.02
    assert parts[0][1] < 50 < parts[1][1]
    assert '<line x1="50%" x2="50%"' in drawn
    assert drawn.count("<circle") == 1
    assert 'data-at="60.000"' in drawn


def test_positions_are_attributes() -> None:
    """The policy of the page allows no style attribute."""
    for drawn in (bar(_KEY, 0.0), axis(), legend(), bar(a_key(state="pending", publish_at=5.0), 0.0)):
        assert "style" not in drawn


def test_text_alternative() -> None:
    """The drawing is an image whose text says the same."""
    words = told(_KEY, 0.0)
    assert words == (
        "Time line of key one: published now; published since 1969-12-31 23:00:00 UTC; "
        "is safe to sign at 1970-01-01 00:01:00 UTC, in 1 min; leaves the set at 1970-01-02 00:00:00 UTC, in 1 d"
    )
    assert f'role="img" aria-label="{words}"' in bar(_KEY, 0.0)
    assert 'aria-hidden="true"' in axis()


def test_legend() -> None:
    """Each part of a life has its mark."""
    assert re.findall(r"</svg>([a-z ]+)</li>", legend()) == ["pending", "published", "safe to sign", "retiring", "gone"]
