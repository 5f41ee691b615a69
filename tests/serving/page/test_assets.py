"""The files of the page."""

import re

import pytest
from support import ROOT

from jwks_server.serving.admin import PAGE
from jwks_server.serving.page.assets import load


def test_files_are_in_the_package() -> None:
    """Each file is there, in the wheel too, and none is large."""
    files = load()
    assert ("/", "/events", *files) == PAGE
    assert all(0 < len(one.data) < 16_000 for one in files.values())


def test_pictures_are_small() -> None:
    """The documentation has three pictures, each under 150 KB and shown somewhere."""
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) == 3
    assert all(one.stat().st_size < 150_000 for one in pictures)
    text = "".join(one.read_text() for one in (ROOT / "README.md", ROOT / "docs" / "how-to" / "status-page.md"))
    assert all(one.name in text for one in pictures)


def test_nothing_comes_from_elsewhere() -> None:
    """No file names another host; the icon's namespace is no address."""
    for one in load().values():
        assert re.findall(rb"(?:https?:)?//[\w.-]+\.\w+", one.data.replace(b"http://www.w3.org/2000/svg", b"")) == []
        assert b"@import" not in one.data


def _luminance(color: str) -> float:
    digits = color if len(color) == 6 else "".join(2 * one for one in color)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("number", "theme"), [(0, "light"), (1, "dark")])
def test_contrast(number: int, theme: str) -> None:
    """Texts have the contrast of WCAG's level AA in both themes, and so have drawings, which no checker looks at."""
    css = load()["/page.css"].data.decode()
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[number]
    colors = dict(re.findall(r"--([\w-]+): #(\w+);", block))
    ground = _luminance(colors["card"])

    def contrast(name: str) -> float:
        darker, lighter = sorted((_luminance(colors[name]), ground))
        return (lighter + 0.05) / (darker + 0.05)

    texts = ("ink", "minor", "link", "pending", "good", "bad", "warning")
    assert {name: one for name in texts if (one := contrast(name)) < 4.5} == {}, theme
    drawings = ("published", "safe", "retiring", "gone", "now")
    assert {name: one for name in drawings if (one := contrast(name)) < 3} == {}, theme
