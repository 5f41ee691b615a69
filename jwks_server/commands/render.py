"""render DIR --out DIR2: write what serve would send as files, for an object store or a CDN."""

import json
import stat
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import click

from jwks_server import atomic
from jwks_server.commands import nginx, output
from jwks_server.commands.apart import keep_apart
from jwks_server.commands.arguments import Command, Folder, directory_argument, json_option, key_options
from jwks_server.commands.layout import (
    HEADERS,
    MANIFEST,
    File,
    Manifest,
    check_lengths,
    check_names,
    headers,
    layout,
    manifest,
    read_manifest,
)
from jwks_server.errors import OutputUnusable
from jwks_server.keys.policy import MAX_SECONDS
from jwks_server.options.option import Group, Option, Whole
from jwks_server.options.settings import Settings
from jwks_server.source.issuers import published

_EPILOG = """Each page is written as it is, and as .gz and .br if they are smaller. manifest.json lists every file with
its headers; _headers lists them in the format of Netlify and Cloudflare Pages. Each file is replaced in one rename,
manifest.json last. Files of the last manifest that are not in the new one are removed. Files that are in no manifest
are never replaced. The files of an issuer with a fault stay as they are.

With --format nginx, .nginx/jwks.conf is written too: include it in a server block of nginx, and nginx answers as serve
does, with all headers and conditions. A rotation needs no reload of nginx."""
_EXITS = {
    0: "All files are written.",
    1: "An issuer has a fault, and the others are written. Or there is nothing to publish, and nothing has changed.",
    2: "DIR can't be read, DIR2 can't be written, or the command is called wrongly.",
}
_OUT = Option(
    "--out",
    Group.COMMAND,
    "Write into this folder.",
    Folder(),
    metavar="DIR2",
    required=True,
    has_variable=False,
    parameter="to",
)
_FORMAT = Option(
    "--format",
    Group.COMMAND,
    "What to write: files alone, or also what nginx needs to answer as serve does.",
    click.Choice(("files", "nginx")),
    "files",
    metavar="FORMAT",
    has_variable=False,
    parameter="form",
)
_EVERY = Option(
    "--every",
    Group.COMMAND,
    "How often render runs. Then no cache keeps a set past a scheduled change, although files can't count down.",
    Whole(0, MAX_SECONDS),
    0,
    metavar="SECONDS",
    has_variable=False,
)


@click.command(name="render", cls=Command, epilog=_EPILOG, exits=_EXITS)
@directory_argument
@_OUT
@_FORMAT
@_EVERY
@key_options
@json_option
def command(*, settings: Settings, to: str, form: str, every: int, as_json: bool) -> None:
    """Write the exact bytes that serve would send for DIR to files."""
    found = published(settings)
    out = Path(to)
    keep_apart(settings.directory, out)
    output.faults(found.faults)
    last = _last(out)
    files: Sequence[File] = last.files
    if found.entries:
        try:
            kept = (file for file in last.files if file.issuer in found.faults and (out / file.name).is_file())
            files = [*layout(found.entries, time.time() + every), *kept]
            check_names(files)
            for_nginx = _for_nginx(out, files, settings.path) if form == "nginx" else {}
            check_lengths(for_nginx)
            _update(out, files, for_nginx, last)
        except OSError as exc:
            raise OutputUnusable(
                f"{exc.filename or out} can't be written: {exc.strerror}; check the folder's mode and its disk."
            ) from exc
    if as_json:
        faults = {issuer: output.described(fault) for issuer, fault in found.faults.items()}
        output.document({**manifest(files), "faults": faults})
    elif found.entries:
        rows = [(file.name, str(len(file.body)), file.headers["ETag"]) for file in files if file.body is not None]
        output.table(("FILE", "BYTES", "ETAG"), rows)
    sys.exit(1 if found.faults else 0)


def _for_nginx(out: Path, files: Sequence[File], path: str) -> Mapping[str, bytes | PurePosixPath]:
    whole = [file if file.body is not None else replace(file, body=(out / file.name).read_bytes()) for file in files]
    # Not resolve(): DIR2 may be a link that is swapped.
    return {nginx.INCLUDE: nginx.include(out.absolute(), path).encode(), **nginx.tree(whole)}


def _last(out: Path) -> Manifest:
    try:
        return read_manifest((out / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as exc:
        raise OutputUnusable(
            f"{out / MANIFEST} can't be read: {exc.strerror}; check the folder's mode and its disk."
        ) from exc
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise OutputUnusable(
            f"{out / MANIFEST} is not what render writes; remove it, or choose another --out."
        ) from exc


def _update(out: Path, files: Sequence[File], for_nginx: Mapping[str, bytes | PurePosixPath], last: Manifest) -> None:
    """Write the files and remove the outdated ones; obstacles are found before anything is changed.

    A request that nginx is answering may have followed a link before it changes. So a reply's bytes stay until the next
    run after the one that no longer needs them.
    """
    spare = {name for name in last.for_nginx if nginx.is_reply(name)} - for_nginx.keys()
    names = {HEADERS, MANIFEST, *(file.name for file in files), *for_nginx, *spare}
    outdated = last.names - names
    for name in sorted(names):
        _check_place(out, name, last.names, outdated)
    if new := names - last.names:
        # So that the next run knows the files of this one if it is interrupted.
        _write(out, {MANIFEST: _json({**manifest(last.files, last.for_nginx), "writing": sorted(new)})})
    in_the_way = {name for name in outdated if _folders(name) & names or any(name in _folders(one) for one in names)}
    for name in in_the_way:
        _remove(out, name)
    _write(
        out,
        {
            **{name: contents for name, contents in for_nginx.items() if isinstance(contents, bytes)},
            **{file.name: file.body for file in files if file.body is not None},
            HEADERS: headers(files).encode(),
        },
    )
    for name, target in for_nginx.items():
        if isinstance(target, PurePosixPath):
            atomic.make_folder((out / name).parent)
            atomic.link(out / name, target)
    for name in outdated - in_the_way:
        _remove(out, name)
    _write(out, {MANIFEST: _json(manifest(files, for_nginx, spare))})


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"


def _folders(name: str) -> set[str]:
    """List the folders of a file below the output folder."""
    return {str(folder) for folder in PurePosixPath(name).parents if folder.name}


def _check_place(out: Path, name: str, ours: Collection[str], outdated: Collection[str]) -> None:
    """Check that a file can be written to its place without losing a file that render didn't write.

    Raises:
        OutputUnusable: There is another file.
        OSError: The place can't be read.
    """
    mode = _mode(out / name)
    if stat.S_ISDIR(mode):
        gone = {*outdated, *(folder for one in outdated for folder in _folders(one))}
        found = (str(path.relative_to(out)) for path in (out / name).rglob("*"))
        foreign = next((one for one in found if one not in gone), None)
    else:
        foreign = name if mode and name not in ours else None
    for folder in _folders(name):
        if _mode(out / folder) and not (out / folder).is_dir() and folder not in outdated:
            foreign = folder
    if foreign is not None:
        raise OutputUnusable(f"{out / foreign} was not written by the last render; remove it, or choose another --out.")


def _mode(path: Path) -> int:
    """Return the mode of the file at a path; 0 if there is none."""
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
    with suppress(OSError):  # the first folder that isn't empty ends the loop
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
