"""The names of rendered files, and the manifest that lists them."""

import json

import pytest

from jwks_server.commands.layout import File, Manifest, check_names, headers, manifest, read_manifest
from jwks_server.errors import OutputUnusable


def file(name: str, coding: str = "identity") -> File:
    """Make a file of an issuer's page."""
    return File("/a", f"/{name}", name, coding, {"Content-Type": "application/json", "ETag": '"x"'}, b"{}")


def test_manifest_comes_back() -> None:
    """A manifest that was written is read again, without the files' contents."""
    document = {**manifest([file("a/jwks.json")]), "writing": ["b/jwks.json"]}
    read = read_manifest(json.dumps(document).encode())
    assert [(one.issuer, one.url_path, one.name, one.coding) for one in read.files] == [
        ("/a", "/a/jwks.json", "a/jwks.json", "identity")
    ]
    assert read.names == {"a/jwks.json", "b/jwks.json", "manifest.json", "_headers"}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a//b"])
def test_names_outside_the_folder_are_ignored(name: str) -> None:
    """A manifest can't make render replace or remove a file outside its folder."""
    document = {"files": [{"file": name}], "writing": [name]}
    assert read_manifest(json.dumps(document).encode()) == Manifest(names=frozenset({"manifest.json", "_headers"}))


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a"),
        ("a", "a/b"),
        ("a", ".a.draft"),
        ("manifest.json",),
        ("_headers",),
        ("x" * 249,),
    ],
)
def test_names_that_collide(names: tuple[str, ...]) -> None:
    """Two files with one name, a file where a folder is needed, and a name that is too long are refused."""
    with pytest.raises(OutputUnusable):
        check_names(map(file, names))


def test_names_that_fit() -> None:
    """Names that differ are accepted, up to 255 bytes with their draft's additions."""
    check_names([file("a"), file("a.gz", "gzip"), file("b/a"), file("x" * 248)])


def test_headers() -> None:
    """The list of headers has the uncoded files, without their ETag."""
    assert headers([file("a"), file("a.gz", "gzip")]) == "/a\n  Content-Type: application/json\n"
