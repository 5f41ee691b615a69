"""The site of the documentation: `make docs`."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import pages
from support import ROOT


class Loaded(HTMLParser):
    """What a browser loads for a page, besides the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address of a script, a style, an image and the like."""
        fields = dict(attrs)
        if tag == "link" and fields.get("rel") in {"canonical", "next", "prev"}:
            return
        if tag in {"script", "link", "img", "iframe", "source"}:
            self.addresses += [str(fields[name]) for name in ("src", "href") if name in fields]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, strictly: a link or an anchor that leads nowhere ends the build."""
    pytest.importorskip("zensical", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    program = Path(sys.executable).with_name("zensical")
    done = subprocess.run([program, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site"


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """A reader's browser asks no other server for fonts, scripts, styles or images."""
    built = list(site.rglob("*.html"))
    assert len(built) > 30
    for page in built:
        loaded = Loaded()
        loaded.feed(page.read_text())
        assert loaded.addresses
        assert not [one for one in loaded.addresses if re.match(r"[a-z]+:|//", one) and not one.startswith("data:")], (
            page
        )


def test_every_page_is_in_the_navigation() -> None:
    """Each page, but for single decisions, can be found in the site's navigation."""
    named = set(re.findall(r'"([-\w/]+\.md)"', (ROOT / "zensical.toml").read_text()))
    assert named == {
        name.removeprefix("docs/")
        for name in pages()
        if name.startswith("docs/") and not re.match(r"docs/decisions/\d", name)
    }
