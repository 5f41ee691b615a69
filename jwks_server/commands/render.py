"""render DIR --out DIR2: what serve would send, as files for an object store or a CDN."""

import json
import os
import stat
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import click

from jwks_server import atomic, offline
from jwks_server.commands import output
from jwks_server.commands.arguments import Command, directory_argument, json_option, key_options
from jwks_server.commands.layout import (
    HEADERS,
    MANIFEST,
    File,
    Manifest,
    check_names,
    headers,
    layout,
    manifest,
    read_manifest,
)
from jwks_server.errors import ConfigError, OutputUnusable
from jwks_server.options.settings import Settings

_EPILOG = """Each page is written as it is, and as .gz and .br where they are smaller; manifest.json names every file
with its headers, _headers says them as Netlify and Cloudflare Pages read them. Each file is replaced in one rename,
manifest.json last; files that the last manifest names and this one doesn't are removed, and what no manifest names is
never replaced. The files of an issuer that is at fault stay as they are.

Exit code 0: written. 1: an issuer is at fault, and the others were written; or there is nothing to publish, and nothing
was changed. 2: DIR can't be read, DIR2 can't be written, or the command is called wrongly."""


@click.command(name="render", cls=Command, epilog=_EPILOG)
@directory_argument
@click.option("--out", required=True, metavar="DIR2", type=click.Path(path_type=Path), help="Write into this folder.")
@key_options
@json_option
def command(*, settings: Settings, out: Path, as_json: bool) -> None:
    """Write exactly the bytes that serve would send for DIR into files."""
    found = offline.published(settings)
    _keep_apart(settings.directory, out)
    output.faults(found.faults)
    last = _last(out)
    files: Sequence[File] = last.files
    if found.entries:
        try:
            kept = (file for file in last.files if file.issuer in found.faults and (out / file.name).is_file())
            files = [*layout(found.entries), *kept]
            check_names(files)
            _update(out, files, last)
        except OSError as exc:
            raise OutputUnusable(f"{exc.filename or out} can't be written: {exc.strerror}; mend the folder.") from exc
    if as_json:
        faults = {issuer: output.described(fault) for issuer, fault in found.faults.items()}
        output.document({**manifest(files), "faults": faults})
    elif found.entries:
        rows = [(file.name, str(len(file.body)), file.headers["ETag"]) for file in files if file.body is not None]
        output.table(("FILE", "BYTES", "ETAG"), rows)
    sys.exit(1 if found.faults else 0)


def _keep_apart(directory: Path, out: Path) -> None:
    """Refuse a folder that is to be published and in which private keys may be."""
    for here in _places(directory):
        for there in _places(out):
            if here == there or here in there.parents or there in here.parents:
                raise ConfigError(
                    f"--out {out} and {directory} hold one another, or links in them do, so keys would be published; "
                    "keep them apart."
                )


def _places(folder: Path) -> set[Path]:
    """List where a folder is, and where the links in it and in its folders lead."""
    inside = (path for pattern in ("*", "*/*") for path in folder.glob(pattern))
    links = (path for path in inside if os.path.islink(path))  # noqa: PTH114 - what can't be looked at is none
    return {Path(os.path.realpath(path)) for path in (folder, *links)}


def _last(out: Path) -> Manifest:
    try:
        return read_manifest((out / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as exc:
        raise OutputUnusable(f"{out / MANIFEST} can't be read: {exc.strerror}; mend the folder.") from exc
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise OutputUnusable(
            f"{out / MANIFEST} is not what render writes; remove it, or choose another --out."
        ) from exc


def _update(out: Path, files: Sequence[File], last: Manifest) -> None:
    """Bring the folder to the files; what would be in the way is found before anything is changed."""
    names = {HEADERS, MANIFEST, *(file.name for file in files)}
    outdated = last.names - names
    for name in sorted(names):
        _check_place(out, name, last.names, outdated)
    if new := names - last.names:
        # So that a run after one that was cut off knows its files.
        _write(out, {MANIFEST: _json({**manifest(last.files), "writing": sorted(new)})})
    in_the_way = {name for name in outdated if _folders(name) & names or any(name in _folders(one) for one in names)}
    for name in in_the_way:
        _remove(out, name)
    _write(
        out,
        {
            **{file.name: file.body for file in files if file.body is not None},
            HEADERS: headers(files).encode(),
        },
    )
    for name in outdated - in_the_way:
        _remove(out, name)
    _write(out, {MANIFEST: _json(manifest(files))})


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


def _folders(name: str) -> set[str]:
    """List the folders, below the one that is written to, in which a file is."""
    return {str(folder) for folder in PurePosixPath(name).parents if folder.name}


def _check_place(out: Path, name: str, ours: Collection[str], outdated: Collection[str]) -> None:
    """Make sure that a file can be put in its place, and that nothing is lost by it.

    Raises:
        OutputUnusable: Something else is there.
        OSError: The place can't be looked at.
    """
    mode = _mode(out / name)
    if stat.S_ISDIR(mode):
        gone = {*outdated, *(folder for one in outdated for folder in _folders(one))}
        found = (str(path.relative_to(out)) for path in (out / name).rglob("*"))
        strange = next((one for one in found if one not in gone), None)
    else:
        strange = name if mode and name not in ours else None
    for folder in _folders(name):
        if _mode(out / folder) and not (out / folder).is_dir() and folder not in outdated:
            strange = folder
    if strange is not None:
        raise OutputUnusable(f"{out / strange} is not of the last render's making; remove it, or choose another --out.")


def _mode(path: Path) -> int:
    """Tell what is at a path; 0 where nothing is."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _remove(out: Path, name: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    path = out / name
    if not stat.S_ISDIR(_mode(path)):
        with suppress(NotADirectoryError):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # the first that isn't empty ends it
        for folder in PurePosixPath(name).parents:
            if folder.name:
                (out / folder).rmdir()


def _write(out: Path, contents: Mapping[str, bytes]) -> None:
    """Replace the files whose contents changed; the others keep their times, which caches may go by."""
    changed = {out / name: data for name, data in contents.items() if not _holds(out / name, data)}
    for path in changed:
        atomic.make_folder(path.parent)
        if stat.S_ISDIR(_mode(path)):  # an empty folder, or it would have been refused
            path.rmdir()
    atomic.write_all(changed)


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == data
