"""The lists of locked dependencies that the image is built with (make lock)."""

import re
import tomllib
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import ROOT

DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LISTS = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-build.txt": PROJECT["build-system"]["requires"],
}
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9][^ ]*)(?: ; [^\\\n]+)? \\\n(?P<hashes>(?:    --hash=[^\n]+\n)+)"
)
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def locked(name: str) -> dict[str, str]:
    """Read the versions of a list, by name."""
    return {found["name"]: found["version"] for found in ENTRY.finditer((DEPLOY / name).read_text())}


@pytest.mark.parametrize("name", LISTS)
def test_every_entry_has_hashes_and_no_address(name: str) -> None:
    """Each line is a version with its hashes, a hash, or a comment: no address and no option."""
    text = (DEPLOY / name).read_text()
    entries = list(ENTRY.finditer(text))
    assert entries
    assert all(HASH.fullmatch(line) for one in entries for line in one["hashes"].splitlines())
    assert all(line.lstrip().startswith("#") for line in ENTRY.sub("", text).splitlines())
    assert "://" not in text


@pytest.mark.parametrize("name", LISTS)
def test_it_satisfies_pyproject(name: str) -> None:
    """Each dependency is locked to a version that is allowed; make lock renews the list."""
    versions = locked(name)
    for wanted in map(Requirement, LISTS[name]):
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), wanted


def test_it_is_complete() -> None:
    """What the dependencies need in turn is locked too."""
    versions = locked("requirements.txt")
    for name in versions:
        for wanted in map(Requirement, requires(name) or ()):
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), (name, wanted)
