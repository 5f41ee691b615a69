"""What the commands print: tables for people, JSON for machines."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from jwks_server import console
from jwks_server.errors import JwksError
from jwks_server.text import printable

# A longer cell doesn't widen its column; a thumbprint still fits.
_WIDEST = 44
_BELOW = "    "


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, notes: bool = False) -> None:
    """Print rows in columns that fit the terminal.

    Args:
        head: The columns' names.
        rows: The cells.
        notes: Whether the last cell of each row is a sentence, which stands below the row; it has no name in the head.
    """
    limit = console.width(sys.stdout)
    lines = [[printable(cell) for cell in row] for row in rows]
    cells = [line[:-1] if notes else line for line in lines]
    widths = [
        max(console.columns(cell) for cell in column if cell is column[0] or console.columns(cell) <= _WIDEST)
        for column in zip(head, *cells, strict=True)
    ]
    for number, row in enumerate((head, *cells)):
        for text in console.laid_out(row, widths, limit, _BELOW):
            write(_bold(text) if number == 0 else text)
        if notes and number and lines[number - 1][-1]:
            for text in console.wrapped(lines[number - 1][-1], limit, _BELOW):
                write(text)


def _bold(text: str) -> str:
    return click.style(text, bold=True) if console.colored(sys.stdout) else text


def line(text: str) -> None:
    """Print a line. Control characters are escaped, since a file's name and an answer may hold any bytes."""
    for part in console.wrapped(printable(text), console.width(sys.stdout)):
        write(part)


def document(value: Any) -> None:  # noqa: ANN401 - any value that JSON can hold
    """Print JSON."""
    write(json.dumps(value, indent=2))


def faults(found: Mapping[str, JwksError]) -> None:
    """Print the fault of each issuer on standard error."""
    for issuer, error in found.items():
        console.say(f"jwks-server: {printable(f'{issuer}: {error.message}')} [{error.code}]")


def described(error: JwksError) -> Mapping[str, str]:
    """Write an error for a JSON document."""
    return {"code": error.code, "reason": error.message}


def write(text: str) -> None:
    """Print text as it is; characters that the output's encoding doesn't have are escaped.

    Raises:
        OutputUnusable: Standard output can't be written.
    """
    click.echo(text, color=console.colored(sys.stdout))
