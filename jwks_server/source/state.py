"""The state file: when each key was first published, and the keys that are retiring. It survives a restart.

The file holds public data only: the JWKs as they are published, and times in seconds since the epoch.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from jwks_server.errors import StateDamaged, StateLocked, StateNewer, StateUnusable
from jwks_server.keys.jwk import PublicKey, thumbprint
from jwks_server.keys.keyset import Key, KeySet
from jwks_server.keys.kinds import kind_of
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import ROOT
from jwks_server.source import history
from jwks_server.source.owned import Locked, Owned
from jwks_server.source.patience import Patience
from jwks_server.text import reason

_VERSION = 2  # version 1 held only the keys of the directory itself
_LATEST = 253_402_300_799  # the end of the year 9999, the last that RFC 3339 can write
_COMMON_MEMBERS = ("kty", "kid", "use", "alg")
_X5_MEMBERS = ("x5c", "x5t#S256")


class StateFile:
    """The file named by ``--state``. One server writes it; others that are given the same file only read it.

    A file that can't be read, or that a newer version wrote, is never overwritten.

    Args:
        path: The file, or a link to it; its directory must be writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = Owned(path)
        self._patience = Patience()
        self._written = b""
        self._texts: Mapping[str, tuple[KeySet, str]] = {}
        self._refused: StateUnusable | None = None

    def close(self) -> None:
        """Let another server write the file."""
        self._file.close()

    def load(self, *, set_aside: bool = True) -> dict[str, KeySet]:
        """Read the last published keys by their issuer's path; nothing if there is no file.

        Args:
            set_aside: Whether to rename a damaged file to ``*.damaged``; a command that only reads leaves it.

        Raises:
            StateDamaged: The contents are not what ``save`` writes.
            StateNewer: A newer version of this program wrote them.
            StateUnusable: The file can't be read.
        """
        self._refused = None
        try:
            return self._patience.run(partial(self._load, set_aside=set_aside))
        except StateUnusable as error:
            self._refused = error
            raise

    def _load(self, *, set_aside: bool) -> dict[str, KeySet]:
        try:
            data = self._patience.ask(str(self._path), self._file.read)
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._unusable("read", exc) from exc
        try:
            document = json.loads(data, parse_constant=_refuse_constant)
            self._insist_on_version(document)
            issuers = _issuers(document)
            keysets = {path: KeySet(tuple(map(_key, entries)), Policy()) for path, entries in issuers.items()}
            return history.with_history(keysets, document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            if not set_aside:
                raise StateDamaged(f"{self._path} is damaged; remove it.") from exc
            aside = self._file.target.with_name(self._file.target.name + ".damaged")
            try:
                self._file.target.replace(aside)
            except OSError as failed:
                raise self._unusable("set aside", failed) from failed
            raise StateDamaged(
                f"{self._path} is damaged and was renamed to {aside.name}; the times of first publication start again."
            ) from exc

    def save(self, keysets: Mapping[str, KeySet]) -> None:
        """Write the published and retiring keys; after a crash the file is either the old or the new one.

        Args:
            keysets: By their issuer's path.

        Raises:
            StateLocked: Another server writes the file.
            StateUnusable: The file can't be written, or it could not be read and is still there.
        """
        self._texts = {path: self._text(path, keyset) for path, keyset in keysets.items()}
        issuers = ",\n".join(text for _, text in self._texts.values())
        more = "".join(f', "{name}": {text}' for name, text in history.written(keysets).items())
        data = f'{{"version": {_VERSION}, "issuers": {{\n{issuers}\n}}{more}}}\n'.encode()
        if data == self._written:
            return
        if self._refused and os.path.lexists(self._path):
            raise self._refused
        self._refused = None
        try:
            if self._file.acquire():
                self._refuse_newer()
            self._file.write(data)
        except Locked as exc:
            raise StateLocked(
                f"Another server writes {self._path}, so this one doesn't; give each server a file of its own."
            ) from exc
        except OSError as exc:
            raise self._unusable("written", exc) from exc
        self._written = data

    def _refuse_newer(self) -> None:
        """Look at the file once more: a newer version may have written it since it was read."""
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            self._insist_on_version(json.loads(self._file.read()))

    def _insist_on_version(self, document: dict[str, Any]) -> None:
        version = document["version"]
        if isinstance(version, int) and version > _VERSION:
            raise StateNewer(
                f"{self._path} is of version {version}, and this program knows only {_VERSION}; it stays as it is. "
                "Update this program, or give it another file."
            )

    def _text(self, path: str, keyset: KeySet) -> tuple[KeySet, str]:
        """Serialize an issuer's keys, unless the last call did so for the same set."""
        last = self._texts.get(path)
        if last and last[0] is keyset:
            return last
        keys = ",\n".join(map(_entry, keyset.keys))
        return keyset, f"{json.dumps(path)}: [\n{keys}\n]"

    def _unusable(self, what: str, exc: OSError) -> StateUnusable:
        wayout = "fix it, and restart the server" if what == "read" else "fix its directory's mode, or its disk"
        return StateUnusable(f"{self._path} can't be {what}: {reason(exc)}; {wayout}.")


def _entry(key: Key) -> str:
    """Write a key on a line; its JWK is finished JSON. With 10,000 keys, dumping all of it would take half a second."""
    about = {
        "file": key.file,
        "first_published": key.first_published,
        "retiring_since": key.retiring_since,
        "not_after": key.public.not_after,
        "spki_sha256": key.public.spki_sha256,
    }
    return f'{json.dumps(about)[:-1]}, "jwk": {key.json.decode()}}}'


def _issuers(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    issuers: dict[str, list[dict[str, Any]]]
    match document["version"]:
        case 1:
            issuers = {ROOT: document["keys"]}
        case 2:
            issuers = document["issuers"]
        case _:
            raise ValueError("another version")
    return issuers


def _key(entry: dict[str, Any]) -> Key:
    """Read a key strictly: with a member that is not public by name, the whole file is damaged."""
    jwk = entry["jwk"]
    kind = kind_of(jwk)
    own = kind.members if kind else ()
    if not kind or not {*_COMMON_MEMBERS, *own} <= jwk.keys() <= {*_COMMON_MEMBERS, *own, *_X5_MEMBERS}:
        raise ValueError("other members than a public key's")
    public = PublicKey(
        kind=kind,
        members={name: _text(jwk[name]) for name in jwk if name in own},
        x5={name: jwk[name] for name in jwk if name in _X5_MEMBERS},
        thumbprint=thumbprint(kind, {name: jwk[name] for name in ("kty", "alg", *own)}),
        spki_sha256=_text(entry["spki_sha256"]),
        not_after=_time(entry["not_after"]),
    )
    return Key(
        kid=_text(jwk["kid"]),
        alg=_text(jwk["alg"]),
        use="enc" if jwk["use"] == "enc" else "sig",
        file=_text(entry["file"]),
        public=public,
        json=json.dumps(jwk, ensure_ascii=False, separators=(",", ":")).encode("utf-8"),
        state="published" if entry["retiring_since"] is None else "retiring",
        first_published=_time(entry["first_published"]),
        retiring_since=_time(entry["retiring_since"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _time(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not 0 <= value <= _LATEST:
        raise ValueError("not a time")
    return float(value)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
