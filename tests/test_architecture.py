"""The documents about the code name what exists."""

import re

from support import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
DECISIONS = ROOT / "docs" / "decisions"


def modules_of_the_package() -> set[str]:
    """List the package's modules and folders in the repository, as ARCHITECTURE.md writes them."""
    package = ROOT / "jwks_server"
    if not package.is_dir():  # The tests of the wheel run where only the installed package is.
        import jwks_server

        package = ROOT.joinpath(jwks_server.__file__).parent
    modules = {f"jwks_server/{one.relative_to(package)}" for one in package.rglob("*.py")}
    folders = {f"jwks_server/{one.parent.relative_to(package)}/" for one in package.rglob("*/__init__.py")}
    return modules | folders


def test_every_path_exists() -> None:
    """ARCHITECTURE.md names no module or folder of the package that doesn't exist."""
    named = set(re.findall(r"`(jwks_server/[^`]+)`", PAGE))
    assert named
    assert named <= modules_of_the_package()


def test_every_folder_is_described() -> None:
    """ARCHITECTURE.md says of each folder of the package what it does."""
    parts = PAGE.partition("\n## The parts\n")[2].partition("\n## ")[0]
    folders = {one for one in modules_of_the_package() if one.endswith("/")}
    assert folders
    assert folders <= set(re.findall(r"`(jwks_server/[\w/]+/)`", parts))


def test_every_decision_is_in_the_index() -> None:
    """The index of the decisions has one row, with a status, for each note and for nothing else."""
    notes = {one.name for one in DECISIONS.glob("*.md")} - {"README.md"}
    rows = re.findall(
        r"^\| \[.+\]\((\S+)\) \| (?:accepted|superseded by \[.+\]\(\S+\)) \| .+ \|$",
        (DECISIONS / "README.md").read_text(),
        re.MULTILINE,
    )
    assert notes
    assert sorted(rows) == sorted(notes)
