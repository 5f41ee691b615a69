"""A few mutants for each module, chosen by chance with a fixed seed: flipped comparisons, dropped statements, ..."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mutants.mutant import Mutant

SEED = 20261124
FOR_EACH_MODULE = 2
PACKAGES = ("keys", "source", "published", "serving")

# Tests that run when a module's own test file has not failed.
FALLBACK = {
    "keys": ("keys",),
    "source": ("source/test_directory.py", "source/test_reload.py", "source/test_issuers.py", "source/test_state.py"),
    "published": ("published", "serving/test_public.py"),
    "serving": ("serving/test_public.py", "serving/test_connections.py", "serving/test_admin.py"),
}
# Modules whose own test file has another name, or has too many tests for this.
OWN = {
    "serving/connection.py": "serving/test_connections.py",
    "serving/certificate.py": "serving/test_tls_wire.py",
    "serving/head_buffer.py": "serving/test_request_head.py",
    "serving/open_connection.py": "serving/test_connections.py",
    "serving/tls_context.py": "serving/test_tls_wire.py",
    "serving/tls_engine.py": "serving/test_tls_wire.py",
    "serving/wire.py": "serving/test_connections.py",
    "source/watch.py": "source/test_watch.py",
}

_FLIPPED: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


@dataclass(frozen=True, slots=True)
class _Edit:
    node: ast.expr | ast.stmt
    what: str
    text: str


def mutants(root: Path) -> Iterator[Mutant]:
    """Choose the mutants of each module; the same source gives the same ones."""
    for package in PACKAGES:
        for path in sorted((root / "jwks_server" / package).glob("*.py")):
            file = f"{package}/{path.name}"
            source = path.read_text(encoding="utf-8")
            edits = list(_edits(ast.parse(source)))
            chance = random.Random(f"{SEED} {file}")  # noqa: S311 - any choice will do, as long as it is always the same
            for edit in sorted(chance.sample(edits, min(FOR_EACH_MODULE, len(edits))), key=lambda one: one.node.lineno):
                yield _mutant(root, file, source, edit)


def _mutant(root: Path, file: str, source: str, edit: _Edit) -> Mutant:
    """Make a mutant of an edit. Its text is the whole file, so that it is never found twice."""
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: edit.node.lineno - 1])) + edit.node.col_offset
    end = sum(map(len, lines[: (edit.node.end_lineno or 0) - 1])) + (edit.node.end_col_offset or 0)
    data = source.encode()
    changed = (data[:start] + edit.text.encode() + data[end:]).decode()
    return Mutant(
        name=f"{file}:{edit.node.lineno}",
        promise=edit.what,
        file=file,
        before=source,
        after=changed,
        tests=_tests(root, file),
    )


def _tests(root: Path, file: str) -> tuple[str, ...]:
    package, _, name = file.partition("/")
    own = OWN.get(file, f"{package}/test_{name}")
    found = (own,) if (root / "tests" / own).is_file() else ()
    return tuple(dict.fromkeys((*found, *FALLBACK[package])))


def _edits(tree: ast.Module) -> Iterator[_Edit]:
    """List what can be changed in functions that do something; what only declares has no behavior to test."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in function.body:
                for node in ast.walk(statement):
                    yield from _edits_of(node)


def _edits_of(node: ast.AST) -> Iterator[_Edit]:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            flipped = f"({ast.unparse(left)} {_FLIPPED[type(operator)]} {ast.unparse(right)})"
            yield _Edit(node, f"`{ast.unparse(node)}` becomes `{flipped}`", flipped)
        case ast.If(test=test) | ast.IfExp(test=test):
            yield _Edit(test, f"`if {ast.unparse(test)}` is negated", f"(not ({ast.unparse(test)}))")
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            yield _Edit(node, f"`{number}` becomes `{number + 1}`", f"({number + 1})")
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield _Edit(node, f"`return {ast.unparse(value)}` gives None", "return None")
        case ast.Expr(value=ast.Call() | ast.Await() as value):
            yield _Edit(node, f"`{ast.unparse(value)}` is dropped", "pass")
