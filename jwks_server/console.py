"""Standard output and standard error: what can go wrong with them, and what a terminal can show."""

import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TextIO

import click

from jwks_server.errors import OutputUnusable
from jwks_server.text import reason

# The exit code that a shell reports for a command that SIGPIPE ended.
_READER_LEFT = 141
_STDOUT, _STDERR = 1, 2
_WIDE = frozenset("WF")
_UNKNOWN_WIDTH = 80
_LEFT_OUT = "..."
_BELOW = "    "


def open_standard_streams() -> None:
    """Open what is closed of the three standard descriptors on /dev/null.

    Otherwise a socket or a file of the program would get the number, and be taken for standard error.
    """
    for number in (0, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one


def guard() -> None:
    """Replace standard output and standard error by streams that fail in one way, whatever is written to them.

    If standard output can't be written, that is an ``OutputUnusable``; if its reader has left, as in ``| head``, the
    program ends silently with 141. If standard error can't be written, what would be said there is lost, and nothing
    else changes.
    """
    sys.stdout = _text(_Output(_STDOUT, "wb", closefd=False), sys.stdout)
    sys.stderr = _text(_Errors(_STDERR, "wb", closefd=False), sys.stderr)


def _text(raw: io.RawIOBase, like: TextIO | None) -> TextIO:
    encoding = "utf-8" if like is None else like.encoding
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=raw.isatty() or raw.fileno() > 1)


class _Stream(io.FileIO):
    """A descriptor that is written until the first failure. Later writes have no effect: Python flushes at its end."""

    failed = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - any object with bytes, as io has it
        """Write, and wait where the descriptor doesn't block."""
        while not self.failed:
            try:
                written = super().write(data)
            except OSError as exc:
                self.failed = True
                self.fail(exc)
            else:
                if written is not None:
                    return written
                select.select([], [self], [])
        return memoryview(data).nbytes

    def fail(self, exc: OSError) -> None:
        """Describe the failure."""


class _Errors(_Stream):
    """Standard error: nothing is left to tell of a failure."""


class _Output(_Stream):
    """Standard output."""

    def fail(self, exc: OSError) -> None:
        """End the program as SIGPIPE would, or raise the error."""
        if exc.errno == errno.EPIPE:
            sys.exit(_READER_LEFT)
        raise OutputUnusable(f"Standard output can't be written: {reason(exc)}; redirect it to another place.") from exc


def colored(stream: TextIO) -> bool:
    """Report whether to write colors: NO_COLOR turns them off, FORCE_COLOR on, and a dumb terminal has none."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and not is_dumb()


def is_dumb() -> bool:
    """Report whether the terminal can't move its cursor."""
    return os.environ.get("TERM") == "dumb"


def width(stream: TextIO) -> int | None:
    """Return a terminal's width in columns; None if the stream isn't a terminal, and lines may have any length."""
    if not stream.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    found = int(given) if given.isdecimal() else 0
    with suppress(OSError):  # it has just been closed
        # Not shutil's function, which looks at standard output only.
        found = found or os.get_terminal_size(stream.fileno()).columns
    return found or _UNKNOWN_WIDTH


def columns(text: str) -> int:
    """Count the columns that a text takes on a terminal: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in _WIDE else 1 for one in text
    )


def shortened(text: str, limit: int) -> str:
    """Leave out the middle of a text that takes more columns than the limit."""
    if columns(text) <= limit:
        return text
    end = text[-1:]
    start, left = "", max(limit, 10) - len(_LEFT_OUT)
    while columns(text[-len(end) - 1 :]) <= left // 3:
        end = text[-len(end) - 1 :]
    while columns(text[: len(start) + 1]) <= left - columns(end):
        start = text[: len(start) + 1]
    return f"{start}{_LEFT_OUT}{end}"


def wrapped(text: str, limit: int | None, indent: str = "", first: str | None = None) -> Iterator[str]:
    """Break a text into lines between words; a word that is longer than a line has a line of its own.

    Args:
        text: The text, in one line.
        limit: The longest line, in columns; None to break nothing.
        indent: What each line begins with; a word that fits only without it has a line without it.
        first: What the first line begins with instead.
    """
    start, line = indent if first is None else first, ""
    if limit is None:
        yield start + text
        return
    for word in text.split(" "):
        if line and columns(f"{start}{line} {word}") > limit:
            yield (start + line).rstrip()
            start, line = indent if columns(indent + word) <= limit else "", word
        else:
            line = f"{line} {word}" if line else word
    yield start + line


def say(text: str) -> None:
    """Write a message to standard error, in lines that fit it if it is a terminal."""
    click.echo("\n".join(wrapped(text, width(sys.stderr), _BELOW, "")), err=True)


def laid_out(cells: Iterable[str], widths: Iterable[int], limit: int | None, indent: str = "    ") -> Iterator[str]:
    """Put the cells of a row below their columns. A cell that doesn't fit starts a line of its own.

    Args:
        cells: The texts.
        widths: The width of each column.
        limit: The longest line, in columns; None for any.
        indent: What each further line begins with.
    """
    line, start = "", 0
    for cell, column in zip(cells, widths, strict=True):
        if cell:
            gap = max(start - columns(line), 2 if line.strip() else 0)
            if line.strip() and limit is not None and columns(line) + gap + columns(cell) > limit:
                yield line
                *whole, line = wrapped(cell, limit, indent)
                yield from whole
            else:
                line += " " * gap + cell
        start += column + 2
    yield line
