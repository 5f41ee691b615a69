"""Paths whose links change while they are looked at; test_watch.py is about the ways that are followed."""

import os
from pathlib import Path

import pytest

from jwks_server.source.mounts import subpaths
from jwks_server.source.way import real


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a link that is removed just before it is read, as when a Kubernetes volume is updated."""
    path = tmp_path / "nested"
    path.symlink_to("..data")
    readlink = os.readlink

    def removed(at: str) -> str:
        path.unlink(missing_ok=True)
        return readlink(at)

    monkeypatch.setattr(os, "readlink", removed)
    return path


def test_a_link_that_is_removed_meanwhile(link: Path) -> None:
    """It is looked at again, and then it is no link."""
    assert real(link) == str(link)


def test_the_look_over_outlives_a_volume_that_is_updated(link: Path) -> None:
    """The mounts in a folder whose link is being replaced are none, instead of an error that ends the server."""
    assert subpaths(link, ()) == frozenset()


def test_links_are_resolved(tmp_path: Path) -> None:
    """Otherwise it is the path without links."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert real(tmp_path / "b") == os.path.realpath(tmp_path / "a")
