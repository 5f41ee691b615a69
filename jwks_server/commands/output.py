"""What the commands print: tables for people, JSON for machines."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

from jwks_server.errors import JwksError, OutputUnusable
from jwks_server.text import printable

# The exit code that a shell reports for a command that SIGPIPE ended.
_READER_LEFT = 141


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns."""
    lines = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for one in lines:
        line("  ".join(cell.ljust(width) for cell, width in zip(one, widths, strict=True)).rstrip())


def line(text: str) -> None:
    """Print a line. Control characters are escaped, since a file's name and an answer may hold any bytes."""
    write(printable(text))


def document(value: Any) -> None:  # noqa: ANN401 - any value that JSON can hold
    """Print JSON."""
    write(json.dumps(value, indent=2))


def faults(found: Mapping[str, JwksError]) -> None:
    """Print the fault of each issuer on standard error."""
    for issuer, error in found.items():
        click.echo(f"jwks-server: {printable(f'{issuer}: {error.message}')} [{error.code}]", err=True)


def described(error: JwksError) -> Mapping[str, str]:
    """Write an error for a JSON document."""
    return {"code": error.code, "reason": error.message}


def write(text: str) -> None:
    """Print text as it is; characters that the output's encoding doesn't have are escaped.

    If the reader has left, as in ``| head``, the program ends silently with code 141.

    Raises:
        OutputUnusable: Standard output can't be written.
    """
    stdout: TextIO | None = sys.stdout  # None where it was closed before the program began
    if stdout is None:
        return
    try:
        click.echo(text.encode(stdout.encoding, "backslashreplace").decode(stdout.encoding))
    except OSError as exc:
        # Python flushes the rest when it ends, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        if isinstance(exc, BrokenPipeError):
            sys.exit(_READER_LEFT)
        raise OutputUnusable(
            f"Standard output can't be written: {exc.strerror}; redirect it to another place."
        ) from exc
