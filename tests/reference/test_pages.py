"""The reference's pages: their generated parts are current, and their links lead somewhere."""

import re
from pathlib import Path

import pytest
from reference import pages

PAGES = pages.pages()
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """List the anchors that a forge gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_generated_parts_are_current(page: Path) -> None:
    """The page is what ``make reference`` would write."""
    assert page.read_text() == pages.current(page.read_text())


def test_each_part_is_somewhere() -> None:
    """No part is written for nothing, and none of the marks is misspelt."""
    text = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"<!-- generated: ([a-z-]+)", text)) == set(pages.PARTS)
    assert text.count("<!-- generated: ") == text.count("<!-- end -->")


def test_every_page_is_listed() -> None:
    """The folder's own page lists each of the others once."""
    listed = re.findall(r"^- \[.+\]\(([a-z-]+\.md)\): ", (pages.FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({page.name for page in PAGES} - {"README.md"})


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file or a heading of this repository has one."""
    for file, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {file}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {file}#{anchor}"
