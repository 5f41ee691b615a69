"""The help of a command: options under headings, an example, and lines that fit the terminal."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from jwks_server import console
from jwks_server.options.option import Group

_WIDEST = 80
_MARGIN = 2
# Below this width a description stands below its option.
_NARROW = 60
_RAW = "\b"


class _Formatter(click.HelpFormatter):
    """Breaks lines only between words. click would break option names at their hyphens, and never below 50 columns."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - click's own signature
        super().__init__(**given)
        if found := console.width(sys.stdout):
            self.width = min(found, _WIDEST) - _MARGIN

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with click's mark is of command lines."""
        indent = " " * self.current_indent
        paragraphs = (
            [self._command(line, indent) for line in paragraph.splitlines()[1:]]
            if paragraph.startswith(_RAW)
            else [*console.wrapped(" ".join(paragraph.split()), self.width, indent)]
            for paragraph in text.split("\n\n")
        )
        self.write("\n\n".join(map("\n".join, paragraphs)) + "\n")

    def _command(self, line: str, indent: str) -> str:
        """Break a command line where the shell joins it again."""
        indent += " " * (len(line) - len(line.lstrip()))
        if len(indent + line.strip()) <= self.width:
            return indent + line.strip()
        return " \\\n".join(console.wrapped(line.strip(), self.width - len(" \\"), f"{indent}  ", indent))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms with their descriptions, in columns where there is room."""
        rows = list(rows)
        indent, narrow = " " * self.current_indent, self.width < _NARROW
        column = 4 if narrow else min(max(len(term) for term, _ in rows), col_max) + col_spacing
        below = indent + " " * column
        for term, description in rows:
            begin = indent + term
            if narrow or len(term) > column - col_spacing:
                self.write("\n".join(console.wrapped(term, self.width, below, indent)) + "\n")
                begin = below
            lines = console.wrapped(" ".join(description.split()), self.width, below, begin.ljust(len(below)))
            self.write("\n".join(lines).rstrip() + "\n")


class _Context(click.Context):
    formatter_class = _Formatter


class Commands(click.Group):
    """The commands, with such a help."""

    context_class = _Context

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; click would cut their sentences on a narrow terminal."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(_WIDEST)) for name, one in commands if one])


class Command(click.Command):
    """A command whose help lists the options under headings.

    Args:
        example: A command line, for the help.
        exits: What each exit code means, in a sentence. Those that all commands have in common are not among them.
    """

    context_class = _Context

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - click's own
        example: str = "",
        exits: Mapping[int, str] | None = None,
        **given: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*arguments, **given)
        self.example = example
        self.exits = exits or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each heading; click's own ``--help`` belongs to the command."""
        if self.example:
            with formatter.section("Example"):
                formatter.write_text(self.example)
        sections: dict[Group, list[tuple[str, str]]] = {group: [] for group in Group}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                sections[getattr(parameter, "group", Group.COMMAND)].append(record)
        for group, records in sections.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes below the text."""
        super().format_epilog(ctx, formatter)
        if self.exits:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), meaning) for code, meaning in self.exits.items()])
