"""docs/reference/error-codes.md has every code of an error and of a warning."""

from collections.abc import Iterator

import pytest
from reference.tables import names, page, rows

from jwks_server import errors
from jwks_server.errors import JwksError, Problem
from jwks_server.keys.lint import CODES
from jwks_server.options.variables import CODE as VARIABLE_UNKNOWN

PAGE = page("error-codes")
# The sections, each with the classes whose codes it has, and those of their subclasses.
SECTIONS: dict[str, tuple[type[JwksError], ...]] = {
    "Command line and start": (
        *(errors.ConfigError, errors.ListenError, errors.ParserMissing),
        *(errors.TaskDied, errors.EditionDamaged, errors.OutputUnusable),
    ),
    "TLS certificate": (errors.TlsInvalid,),
    "State file": (errors.StateDamaged, errors.StateUnusable),
    "Key directory": (errors.SourceError,),
    "Key files": (errors.KeyFileError,),
    "URLs": (errors.FetchFailed, errors.WaitTimeout),
    "Tokens": (errors.TokenMalformed, errors.TokenAlgUnsupported, errors.TokenRefused),
    "HTTP": (errors.Problem,),
}


def below(*classes: type[JwksError]) -> Iterator[type[JwksError]]:
    """List classes with codes of their own, and all such classes below them."""
    for one in classes:
        if "code" in vars(one):
            yield one
        yield from below(*one.__subclasses__())


@pytest.mark.parametrize("section", SECTIONS)
def test_every_error_code(section: str) -> None:
    """Each section has a row for each code, with its exit code or status, and none for a code that doesn't exist."""
    expected = {
        one.code: str(one.status if issubclass(one, Problem) else one.exit_code) for one in below(*SECTIONS[section])
    }
    found = rows(PAGE, section)
    assert {names(row[0])[0]: row[1] for row in found} == expected
    assert len(found) == len(expected)
    assert all(len(row[2]) > 20 for row in found)


def test_no_code_is_left_out() -> None:
    """The sections together have the whole tree of errors."""
    assert sorted(one.code for classes in SECTIONS.values() for one in below(*classes)) == sorted(
        one.code for one in below(JwksError)
    )


def test_every_warning() -> None:
    """The table of warnings has each of their codes, and no other."""
    assert {names(row[0])[0] for row in rows(PAGE, "Warnings")} == {*CODES, VARIABLE_UNKNOWN}
