"""The tables of a reference page, as its tests compare them with the code."""

import re

from reference.pages import FOLDER


def page(name: str) -> str:
    """Read a page."""
    return (FOLDER / f"{name}.md").read_text()


def tables(text: str, heading: str) -> list[list[list[str]]]:
    """Read the tables below a heading, each as rows of cells without its head; those of lower headings are not read."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    own = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"^\|.*\|\n\|[-| ]+\|\n((?:\|.*\|\n)+)", own, re.MULTILINE)
    return [[_cells(row) for row in rows.splitlines()] for rows in found]


def rows(text: str, heading: str) -> list[list[str]]:
    """Read the only table below a heading."""
    (only,) = tables(text, heading)
    return only


def _cells(row: str) -> list[str]:
    """Split a row at its bars, but not at those that are escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def names(cell: str) -> list[str]:
    """Read what a cell has as code."""
    return re.findall(r"`([^`]+)`", cell)


def text_of(cell: str) -> str:
    """Read a cell without its marks for code."""
    return cell.replace("`", "")
