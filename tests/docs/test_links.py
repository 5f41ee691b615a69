"""Links between the pages lead somewhere, on a forge as well as on the site."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from posixpath import normpath

import pytest
from pages import pages
from support import ROOT

PAGES = pages()
# How a page of the site links to a file that is not on the site.
_FORGE = re.compile(r"https://github\.com/jwks-server/jwks-server(?:/(?:blob|tree)/main/([^#]*))?(#.*)?\Z")
_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
# They are not in the wheel, and tests of the wheel run beside it.
_PACKAGE = "jwks_server/"


def slugs(text: str) -> set[str]:
    """Name the anchors of a page's headings, as forges and the site do."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links(name: str) -> Iterator[tuple[str, str]]:
    """List a page's links into the repository: path and anchor."""
    for link in _LINK.findall(_BLOCK.sub("", PAGES[name])):
        if forge := _FORGE.match(link):
            yield forge[1] or "README.md", (forge[2] or "").removeprefix("#").replace("readme", "")
        elif not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            yield normpath(PurePosixPath(name).parent / path) if path else name, anchor


@pytest.mark.parametrize("name", PAGES)
def test_links(name: str) -> None:
    """Each link into the repository leads to a file, and to a heading of it if it has an anchor."""
    for path, anchor in links(name):
        assert path.startswith(_PACKAGE) or (ROOT / path).exists(), path
        if anchor and path in PAGES:
            assert anchor in slugs(PAGES[path]), f"{path}#{anchor}"
