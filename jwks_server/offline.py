"""The key directory as ``serve`` would publish it now, for the commands that start no server."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jwks_server.errors import FileUnreadable, KeyFileError, NoKeys, PolicyInvalid, SourceError
from jwks_server.keys.build import build
from jwks_server.keys.keyset import KeyFile, KeySet, Verdict, read_file
from jwks_server.keys.lint import Finding, lint
from jwks_server.keys.policy import Policy, parse
from jwks_server.keys.table import FILE_NAME
from jwks_server.options.settings import Settings
from jwks_server.published.catalog import ROOT, Entry
from jwks_server.published.pages import Endpoint, pages
from jwks_server.source import mounts
from jwks_server.source.directory import Directory, Seen
from jwks_server.source.files import contents
from jwks_server.source.folder import Scan
from jwks_server.source.state import StateFile


@dataclass(frozen=True, slots=True)
class Look:
    """What ``serve`` would make of an issuer's files.

    Attributes:
        keyset: Its keys and a verdict for each file; empty where the policy is wrong.
        entry: What would be published; None where nothing would.
        fault: Why nothing would.
        findings: What is allowed, but will likely hurt someone.
        remembered: What the state file knows of the time before; None where there is none.
    """

    keyset: KeySet
    entry: Entry | None = None
    fault: SourceError | None = None
    findings: tuple[Finding, ...] = ()
    remembered: KeySet | None = None


def look(settings: Settings) -> Mapping[str, Look]:
    """Look at the key directory once.

    Returns:
        What is there by issuer path, ``/`` for the directory itself.

    Raises:
        DirectoryMissing: There is nothing at the path.
        DirectoryUnreadable: The directory can't be read.
        StateDamaged: The state file isn't what the server writes.
        StateUnusable: The state file can't be read.
    """
    directory = Directory(
        settings.directory,
        settings.patterns,
        passphrase=settings.passphrase,
        passphrase_file=settings.passphrase_file,
    )
    seen = directory.read()
    remembered = StateFile(settings.state).load(set_aside=False) if settings.state else {}
    # Where folders have keys the directory needs none of its own; what is retained may be all that an issuer has.
    retained = remembered if settings.policy.retain else {}
    issuers = {
        path: one
        for path, one in seen.items()
        if not isinstance(one, Scan) or not one.empty or (one.there and path in retained)
    }
    now, table = time.time(), mounts.table()
    return {
        path: _look(path, one, settings, remembered.get(path), now, mounts.subpaths(directory.folder(path), table))
        for path, one in (issuers or {ROOT: seen[ROOT]}).items()
    }


def _look(  # noqa: PLR0913, PLR0917 - what an issuer is made of
    issuer: str, seen: Seen, settings: Settings, remembered: KeySet | None, now: float, subpaths: frozenset[str]
) -> Look:
    nothing = KeySet((), settings.policy)
    if isinstance(seen, SourceError):
        return Look(nothing, fault=seen, remembered=remembered)
    try:
        if isinstance(seen.policy, PolicyInvalid):
            raise seen.policy
        policy = parse(seen.policy or b"", settings.policy)
    except PolicyInvalid as error:
        return Look(nothing, fault=error, remembered=remembered)
    keyset = build(seen.files.values(), policy, remembered, now, settings.timing.propagation)
    if keyset.held:
        place = settings.directory / issuer.removeprefix(ROOT)
        fault = NoKeys(f"No file in {place} gives a key; put one there, or say --allow-empty.")
        return Look(keyset, fault=fault, remembered=remembered)
    max_age = keyset.max_age(now)
    entry = Entry(keyset, max_age, pages(issuer, keyset, max_age, Endpoint(settings.path, settings.media_type)))
    findings = lint(keyset, seen.files.values(), subpaths & {".", FILE_NAME, *seen.files}, now)
    return Look(keyset, entry, findings=findings, remembered=remembered)


@dataclass(frozen=True, slots=True)
class Published:
    """What would be published, and why what else is there would not; both by issuer path."""

    entries: Mapping[str, Entry]
    faults: Mapping[str, SourceError]


def published(settings: Settings) -> Published:
    """As ``look``, where only what would be published counts."""
    looks = look(settings)
    return Published(
        {issuer: seen.entry for issuer, seen in looks.items() if seen.entry},
        {issuer: seen.fault for issuer, seen in looks.items() if seen.fault},
    )


def set_path(issuer: str, settings: Settings) -> str:
    """Name the URL path of an issuer's JWK Set."""
    return issuer.rstrip("/") + settings.path


def removed_at(verdict: Verdict, policy: Policy) -> float | None:
    """Tell when the unpublished keys of an accepted file left the set; None where they are revoked.

    Returns:
        Seconds since the epoch.
    """
    revoked = not policy.revoked.isdisjoint({*verdict.kids, *verdict.thumbprints})
    return None if revoked else policy.of(verdict.file).remove_at


def single(path: Path, settings: Settings) -> KeySet:
    """Build the set that would be published if a file were alone in its directory, with the ``jwks.toml`` there.

    Raises:
        KeyFileError: The file is refused.
        PolicyInvalid: The ``jwks.toml`` beside it is wrong.
    """
    file = key_file(path, settings.passphrase)
    try:
        said = _bytes_of(path.with_name(FILE_NAME))
    except KeyFileError as error:
        raise PolicyInvalid(f"{FILE_NAME}: {error.message}") from error
    keyset = build(
        [file], parse(said or b"", settings.policy), now=time.time(), propagation=settings.timing.propagation
    )
    for verdict in keyset.verdicts:
        if verdict.error:
            raise verdict.error
    return keyset


def key_file(path: Path, passphrase: bytes | None) -> KeyFile:
    """Read one key file.

    Raises:
        KeyFileError: The file gives no key.
    """
    data = _bytes_of(path)
    if data is None:
        raise FileUnreadable("There is no such file; check its name.")
    file = read_file(path.name, data, passphrase)
    if file.error:
        raise file.error
    return file


def _bytes_of(path: Path) -> bytes | None:
    folder: int | None = None
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return contents(path.name, folder, path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise FileUnreadable(f"The file can't be read: {exc.strerror}; mend it.") from exc
    finally:
        if folder is not None:
            os.close(folder)
