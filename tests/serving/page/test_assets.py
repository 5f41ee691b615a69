"""The files of the page."""

import re

from support import ROOT

from jwks_server.serving.page.assets import PATHS, load


def test_files_are_in_the_package() -> None:
    """Each file is there, in the wheel too, and none is large."""
    files = load()
    assert tuple(files) == PATHS
    assert all(0 < len(one.data) < 16_000 for one in files.values())


def test_pictures_are_small() -> None:
    """The documentation has three pictures, each under 150 KB and shown somewhere."""
    pictures = list((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) == 3
    assert all(one.stat().st_size < 150_000 for one in pictures)
    text = "".join(one.read_text() for one in (ROOT / "README.md", ROOT / "docs" / "status-page.md"))
    assert all(one.name in text for one in pictures)


def test_nothing_comes_from_elsewhere() -> None:
    """No file names another host; the icon's namespace is no address."""
    for one in load().values():
        assert re.findall(rb"(?:https?:)?//[\w.-]+\.\w+", one.data.replace(b"http://www.w3.org/2000/svg", b"")) == []
        assert b"@import" not in one.data
