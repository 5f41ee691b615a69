"""What is published -> files, each with its own name, and the manifest that lists them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from jwks_server.atomic import draft
from jwks_server.errors import OutputUnusable
from jwks_server.keys.metadata import OAUTH
from jwks_server.published.catalog import Entry
from jwks_server.published.negotiation import choose

MANIFEST = "manifest.json"
HEADERS = "_headers"
# The longest name that file systems allow.
_NAME_BYTES = 255
_SUFFIXES = {"identity": "", "gzip": ".gz", "br": ".br"}


@dataclass(frozen=True, slots=True)
class File:
    """A file of the folder.

    Attributes:
        issuer: The path of its issuer.
        url_path: The URL path of the page.
        name: Its path below the output folder.
        coding: Its content coding.
        headers: The header fields of the reply.
        body: Its contents; None if the file stays as the last run wrote it.
    """

    issuer: str
    url_path: str
    name: str
    coding: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        files: The files that the last run wrote.
        names: All names that render may replace and remove: those files, what is there for nginx, and the files of an
            interrupted run.
        for_nginx: What the last run wrote for nginx.
    """

    files: tuple[File, ...] = ()
    names: frozenset[str] = frozenset()
    for_nginx: frozenset[str] = frozenset()


def layout(entries: Mapping[str, Entry], now: float) -> Iterator[File]:
    """Name the files of each page. A coding that saves no bytes is never sent, so it has no file.

    The name is the URL path, except for the RFC 8414 document of the key directory itself. Its path is also the folder
    of the issuers' documents, so its file always ends in ``.json``.

    Args:
        entries: What is published, by the issuer's path.
        now: In seconds since the epoch.
    """
    for issuer, entry in entries.items():
        for path, page in sorted(entry.pages.items()):
            name = path.lstrip("/") + (".json" if path == OAUTH else "")
            control = {"Cache-Control": page.freshness.cache_control(now)}
            for one in page.variants:
                if choose(page.variants, [one.coding]) is one:
                    headers = {**one.headers, **control}
                    yield File(issuer, path, name + _SUFFIXES[one.coding], one.coding, headers, one.body)


def _draft(name: str) -> str:
    return str(draft(PurePosixPath(name)))


def check_names(files: Iterable[File]) -> None:
    """Check that no name is too long, and that none is also the name of another file or of its folder.

    Raises:
        OutputUnusable: A name can't be used.
    """
    holders = {HEADERS: "render's own list of headers", MANIFEST: "render's own manifest"}
    holders |= {_draft(name): holder for name, holder in holders.items()}
    files = tuple(files)
    for file in files:
        for name in (file.name, _draft(file.name)):
            if name in holders:
                raise _collision(name, holders[name], file)
            holders[name] = f"{file.url_path} ({file.coding})"
    check_lengths(file.name for file in files)
    for file in files:
        for folder in map(str, PurePosixPath(file.name).parents):
            if folder in holders:
                raise _collision(folder, holders[folder], file)


def check_lengths(names: Iterable[str]) -> None:
    """Check that file systems allow all names.

    Raises:
        OutputUnusable: A name is too long.
    """
    for name in names:
        if max(map(len, PurePosixPath(_draft(name)).parts)) > _NAME_BYTES:
            raise OutputUnusable(f"The file {name} has a name that is too long; rename the folder.")


def _collision(name: str, holder: str, file: File) -> OutputUnusable:
    return OutputUnusable(
        f"The file {name} would be written for {holder} and for {file.url_path} ({file.coding}); "
        "rename a folder, or choose another --path."
    )


def manifest(files: Iterable[File], for_nginx: Iterable[str] = (), spare: Iterable[str] = ()) -> dict[str, Any]:
    """Make the manifest as a JSON document.

    Args:
        files: The files that the run writes.
        for_nginx: The names of what it writes for nginx.
        spare: What it still leaves there for nginx, and the next run removes.
    """
    more = {"nginx": sorted(for_nginx), "spare": sorted(spare)}
    return {
        **{name: names for name, names in more.items() if names},
        "files": [
            {
                "issuer": file.issuer,
                "path": file.url_path,
                "file": file.name,
                "coding": file.coding,
                "headers": dict(file.headers),
            }
            for file in files
        ],
    }


def read_manifest(text: bytes) -> Manifest:
    """Read a manifest; names outside the output folder are ignored.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, RecursionError: It isn't what render writes.
    """
    document = json.loads(text)
    files = tuple(file for one in document["files"] if _is_inside((file := _file(one)).name))
    for_nginx, spare, writing = (
        filter(_is_inside, map(str, document.get(key, ()))) for key in ("nginx", "spare", "writing")
    )
    ours = frozenset(for_nginx)
    return Manifest(
        files, frozenset({HEADERS, MANIFEST, *(file.name for file in files), *ours, *spare, *writing}), ours
    )


def _file(entry: Mapping[str, Any]) -> File:
    issuer, path, coding = (str(entry.get(name, "")) for name in ("issuer", "path", "coding"))
    fields = {str(name): str(value) for name, value in entry.get("headers", {}).items()}
    return File(issuer, path, str(entry["file"]), coding, fields)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and str(path) == name and not path.is_absolute() and ".." not in path.parts


def headers(files: Iterable[File]) -> str:
    """Write the headers of the uncoded files. A host that compresses makes its own entity tags, so ETag is left out."""
    lines = []
    for file in files:
        if file.coding == "identity":
            lines.append(f"/{file.name}")
            lines += [f"  {name}: {value}" for name, value in file.headers.items() if name != "ETag"]
    return "\n".join(lines) + "\n"
