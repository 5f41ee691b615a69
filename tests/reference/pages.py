"""The parts of the reference that are written from the code; ``make reference`` writes them, and a test compares.

A page has its text by hand, and such parts between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reference import commands, man
from support import ROOT

from jwks_server.keys.kinds import ED_ALGS, KINDS, RSA_ALGS, Kind
from jwks_server.options.option import Option
from jwks_server.options.table import JSON, KEY_OPTIONS, SERVE

FOLDER = ROOT / "docs" / "reference"
MAN_PAGE = ROOT / "docs" / "jwks-server.1"
_PART = re.compile(r"(<!-- generated: ([a-z-]+)(?: ([a-z]+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def flags() -> str:
    """Write the options of ``serve``, a table for each heading of the help."""
    parts = []
    for group, listed in commands.by_group(SERVE).items():
        rows = [
            (f"`{commands.flag(one)}`", f"`{one.variable}`", commands.values(one), commands.default(one), one.help)
            for one in listed
        ]
        parts.append(f"## {group}\n\n" + table(("flag", "variable", "values", "default", "what it does"), rows))
    return "\n\n".join(parts)


def flags_shared() -> str:
    """Name the commands that take the options about keys."""
    names = [f"`{name}`" for name, one in commands.COMMANDS.items() if commands.takes_key_options(one)]
    names.remove("`serve`")
    listed = ", ".join(f"`{one.flag}`" for one in KEY_OPTIONS)
    return f"{', '.join(names[:-1])} and {names[-1]} take these flags too, with the same meaning: {listed}."


def command(name: str) -> str:
    """Describe a command: how it is called, what it does, its own options."""
    shown = commands.COMMANDS[name]
    parts = [f"```text\n{commands.usage(name)}\n```", str(shown.help)]
    parts += [_paragraph(one) for one in (shown.epilog or "").split("\n\n") if one.strip()]
    if name != "serve":
        parts += _own_options(commands.own_options(shown))
    if commands.takes_key_options(shown):
        text = "All its flags are in [Flags and variables](flags.md)."
        parts.append(text if name == "serve" else "It also takes the [flags about keys](flags.md).")
    return "\n\n".join(parts)


def _own_options(listed: list[Option]) -> list[str]:
    rows = [
        (f"`{commands.flag(one)}`", commands.values(one), commands.default(one), one.help + _variable(one))
        for one in listed
        if one is not JSON
    ]
    shown = [table(("flag", "values", "default", "what it does"), rows)] if rows else []
    return [*shown, f"`{JSON.flag}` prints [JSON](#json) instead of text."] if JSON in listed else shown


def _variable(option: Option) -> str:
    return f" Variable: `{option.variable}`." if option.variable else ""


def _paragraph(text: str) -> str:
    """Write a paragraph of a help text in lines of a page, and options as code."""
    marked = re.sub(r"(?<![\w`-])(--[a-z][a-z-]*)", r"`\1`", " ".join(text.split()))
    return textwrap.fill(marked, 120, break_long_words=False, break_on_hyphens=False)


def exit_codes() -> str:
    """Write what the exit codes of each command mean."""
    rows = [
        (f"`{name}`", *(shown.exits.get(code, "") for code in (0, 1, 2))) for name, shown in commands.COMMANDS.items()
    ]
    return table(("command", "0", "1", "2"), rows)


def kinds() -> str:
    """Write the kinds of keys."""
    rows = [
        (kind.name, f"`{kind.kty}`", ", ".join(f"`{one}`" for one in kind.members), _alg(kind), _enc(kind), _when(kind))
        for kind in KINDS.values()
    ]
    return table(("kind", "`kty`", "its own members", "`alg`", '`alg` with `use = "enc"`', "published"), rows)


def _alg(kind: Kind) -> str:
    by_flag = {RSA_ALGS: "`--rsa-alg`", ED_ALGS: "`--ed-alg`"}
    if kind.sig in by_flag:
        return f"`{kind.sig[0]}`, or the one of {by_flag[kind.sig]}"
    if len(kind.sig) > 1:
        return f"`{kind.sig[0]}`, or `{kind.sig[1]}` with `--ed-alg {ED_ALGS[1]}`"
    return "".join(f"`{one}`" for one in kind.sig)


def _enc(kind: Kind) -> str:
    return ", ".join(f"`{one}`" for one in kind.enc)


def _when(kind: Kind) -> str:
    if not kind.sig and not kind.enc:
        return "never"
    return f"with `--allow {kind.name}`" if kind.optional else "always"


PARTS: Mapping[str, Callable[..., str]] = {
    "flags": flags,
    "flags-shared": flags_shared,
    "command": command,
    "exit-codes": exit_codes,
    "kinds": kinds,
}


def current(text: str) -> str:
    """Write a page again, with its generated parts as the code says."""

    def part(found: re.Match[str]) -> str:
        arguments = (found[3],) if found[3] else ()
        return f"{found[1]}\n{PARTS[found[2]](*arguments)}\n\n{found[4]}"

    return _PART.sub(part, text)


def pages() -> list[Path]:
    """List the pages of the reference."""
    return sorted(FOLDER.glob("*.md"))


if __name__ == "__main__":
    for page in pages():
        page.write_text(current(page.read_text()))
    MAN_PAGE.write_text(man.page())
