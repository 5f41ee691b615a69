"""render DIR --out DIR2: what serve would send, as files for an object store or a CDN."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jwks_server import offline
from jwks_server.commands import output
from jwks_server.config import Settings
from jwks_server.errors import ConfigError, OutputUnusable
from jwks_server.options import directory_argument, json_option, key_options
from jwks_server.serving.representation import Representation, Variant

_MANIFEST = "manifest.json"
_HEADERS = "_headers"
_SUFFIXES = {"identity": "", "gzip": ".gz", "br": ".br"}
_EPILOG = """Each page is written as it is, and as .gz and .br; manifest.json names every file with its headers,
_headers says them as Netlify and Cloudflare Pages read them. Each file is replaced in one rename, manifest.json last;
files that the last manifest names and this one doesn't are removed.

Exit code 0: written. 1: there is nothing to publish, and nothing was changed. 2: DIR can't be read, DIR2 can't be
written, or the command is called wrongly."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to write: where it is served, where it stands below the folder, and what is in it."""

    url_path: str
    name: str
    variant: Variant


@click.command(name="render", epilog=_EPILOG)
@directory_argument
@click.option("--out", required=True, metavar="DIR2", type=click.Path(path_type=Path), help="Write into this folder.")
@key_options
@json_option
def command(*, settings: Settings, out: Path, as_json: bool) -> None:
    """Write exactly the bytes that serve would send for DIR into files."""
    _keep_apart(settings.directory, out)
    entries = offline.published(settings)
    files = list(layout({path: page for entry in entries.values() for path, page in entry.pages.items()}))
    manifest = {"files": [_described(file) for file in files]}
    try:
        outdated = _named_by_manifest(out) - {file.name for file in files}
        for file in files:
            _write(out / file.name, file.variant.body)
        _write(out / _HEADERS, _headers(files).encode())
        for name in outdated:
            (out / name).unlink(missing_ok=True)
        _write(out / _MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")
    except OSError as exc:
        raise OutputUnusable(f"{exc.filename or out} can't be written: {exc.strerror}; mend the folder.") from exc
    if as_json:
        output.document(manifest)
    else:
        output.table(
            ("FILE", "BYTES", "ETAG"), [(file.name, str(len(file.variant.body)), file.variant.etag) for file in files]
        )


def _keep_apart(directory: Path, out: Path) -> None:
    """Refuse a folder that is to be published and in which private keys may be."""
    here, there = directory.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise ConfigError(f"--out {out} and {directory} hold one another, so keys would be published; keep them apart.")


def layout(pages: Mapping[str, Representation]) -> Iterator[File]:
    """Name the files of each page; a page whose path is another's folder gets an ending."""
    for path, page in sorted(pages.items()):
        is_folder = any(other.startswith(f"{path}/") for other in pages)
        for variant in page.variants:
            yield File(path, path.lstrip("/") + (".json" if is_folder else "") + _SUFFIXES[variant.coding], variant)


def _described(file: File) -> dict[str, Any]:
    variant = file.variant
    return {"path": file.url_path, "file": file.name, "coding": variant.coding, "headers": dict(variant.headers)}


def _headers(files: list[File]) -> str:
    """Write the headers of the uncoded files; a host that compresses makes entity tags of its own, so none is said."""
    lines = []
    for file in files:
        if file.variant.coding == "identity":
            lines.append(f"/{file.name}")
            lines += [f"  {name}: {value}" for name, value in file.variant.headers.items() if name != "ETag"]
    return "\n".join(lines) + "\n"


def _named_by_manifest(out: Path) -> set[str]:
    """List the files that were written the last time; only those are ever removed."""
    try:
        files = json.loads((out / _MANIFEST).read_bytes())["files"]
        names = {str(file["file"]) for file in files}
    except FileNotFoundError:
        return set()
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise OutputUnusable(
            f"{out / _MANIFEST} is not what render writes; remove it, or choose another --out."
        ) from exc
    return {name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts}


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one rename; one that is as it should be keeps its times, and so what caches know of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.read_bytes() == data:
        return
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
