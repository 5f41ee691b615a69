"""The error tree: a stable code for each error, and what a reader of it is told."""

import inspect
import re

from jwks_server import errors

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.JwksError)]
LEAVES = [one for one in CLASSES if not one.__subclasses__() and one is not errors.JwksError]


def test_each_error_has_a_code_of_its_own() -> None:
    """Codes are lower case with dashes, and no two errors share one."""
    codes = [one.code for one in LEAVES]
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", code) for code in codes)
    assert len(set(codes)) == len(codes) > 30


def test_the_tree_in_the_text_is_the_tree() -> None:
    """Every class stands in the tree that the module's text draws, and nothing else does."""
    tree = (errors.__doc__ or "").partition("A ``code``")[0]
    names = {
        name
        for line in tree.splitlines()
        for name in re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b|\bProblem\b", line.partition("  a ")[0])
    }
    assert {one.__name__ for one in CLASSES} <= names | {"JwksError"}


def test_exit_codes() -> None:
    """An error ends a command with 1, a no, or with 2, no answer; never with 0."""
    assert {one.exit_code for one in CLASSES} == {1, 2}


def test_equal_where_they_say_the_same() -> None:
    """Two errors are equal, and hashed alike, where class and message are; so a fault that lasts is logged once."""
    assert errors.DirectoryMissing("a") == errors.DirectoryMissing("a")
    assert errors.DirectoryMissing("a") != errors.DirectoryMissing("b")
    assert errors.DirectoryMissing("a") != errors.DirectoryUnreadable("a")
    assert len({errors.NoKeys("a"), errors.NoKeys("a")}) == 1
