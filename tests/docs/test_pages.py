"""The commands of the documentation do what the pages show: real servers, real openssl, real curl."""

from pathlib import Path

import pytest
from pages import Step, expected, pages, reading, steps

RUN = {name: steps(text) for name, text in pages().items() if name != "README.md"}
KID, OTHER = "sQ4ilHG33LcTkEPB59ZdawzRjyh_3jRl6V-aDSitgsk", "4T3IZaBkZScBGGtU6ZcxCy5zPBirC3_WPjLw8J1IkiM"


@pytest.mark.parametrize("name", [name for name, commands in RUN.items() if commands])
def test_a_page_runs(name: str, tmp_path: Path) -> None:
    """Every command that is marked as run prints what the page shows, in an empty folder."""
    with reading(tmp_path / "reader") as reader:
        for step in RUN[name]:
            reader.run(step)


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        (f"a.pem  published  {OTHER}\nat 2026-11-30T01:02:03.456Z\n", True),
        (f"a.pem    published      {OTHER}\nat 2026-11-30T01:02:03Z\n", True),
        (f"a.pem  refused  {KID}\nat 2026-11-29T12:00:00Z\n", False),
        (f"a.pem  published  {KID}\n", False),
        (f"a.pem  published  {KID}\nat 2026-11-29T12:00:00Z\nmore\n", False),
    ],
)
def test_what_may_differ(printed: str, *, same: bool) -> None:
    """Kids, times and the width of columns may differ from the page; words and lines may not."""
    page = (f"a.pem  published  {KID}", "at 2026-11-29T12:00:00Z")
    assert bool(expected(page).match(printed)) is same


@pytest.mark.parametrize("step", [Step("echo a", ("b",)), Step("echo a", ()), Step("false", ())])
def test_a_wrong_page_fails(tmp_path: Path, step: Step) -> None:
    """A command that prints something else than the page shows, or fails without a word, is noticed."""
    with reading(tmp_path / "reader") as reader, pytest.raises(AssertionError, match=step.command):
        reader.run(step)
