"""What the commands print: tables for people, JSON for machines."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns; what could steer a terminal is escaped, since any bytes may be in a file's name."""
    lines = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def document(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print JSON."""
    click.echo(json.dumps(value, indent=2))


def printable(text: str) -> str:
    """Escape what is no printable Unicode."""
    return text if text.isprintable() else text.encode("unicode_escape", "surrogateescape").decode("ascii")
