"""The state file: when each key was first published, and the keys that are retiring. It survives a restart.

The file holds public data only: the JWKs as they are published, and times in seconds since the epoch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from jwks_server import atomic
from jwks_server.errors import JwksError, StateDamaged, StateUnusable
from jwks_server.keys.jwk import PublicKey, thumbprint
from jwks_server.keys.keyset import Key, KeySet
from jwks_server.keys.kinds import kind_of
from jwks_server.keys.policy import Policy
from jwks_server.published.catalog import ROOT
from jwks_server.source import lifetimes
from jwks_server.text import reason

_log = structlog.get_logger(__name__)

_VERSION = 2  # version 1 held only the keys of the directory itself
_COMMON_MEMBERS = ("kty", "kid", "use", "alg")
_X5_MEMBERS = ("x5c", "x5t#S256")


class StateFile:
    """The file named by ``--state``.

    Args:
        path: The file; its directory must be writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""
        self._texts: Mapping[str, tuple[KeySet, str]] = {}

    def load(self, *, set_aside: bool = True) -> dict[str, KeySet]:
        """Read the last published keys by their issuer's path; nothing if there is no file.

        Args:
            set_aside: Whether to rename a damaged file to ``*.damaged``; a command that only reads leaves it.

        Raises:
            StateDamaged: The contents are not what ``save`` writes.
            StateUnusable: The file can't be read.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise self._unusable("read", exc) from exc
        try:
            document = json.loads(data)
            issuers = _issuers(document)
            keysets = {path: KeySet(tuple(map(_key, entries)), Policy()) for path, entries in issuers.items()}
            return lifetimes.with_lifetimes(keysets, document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            if not set_aside:
                raise StateDamaged(f"{self._path} is damaged; remove it.") from exc
            aside = self._path.with_name(self._path.name + ".damaged")
            try:
                self._path.replace(aside)
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
            StateUnusable: The file can't be written.
        """
        self._texts = {path: self._text(path, keyset) for path, keyset in keysets.items()}
        issuers = ",\n".join(text for _, text in self._texts.values())
        max_ages = lifetimes.written(keysets)
        data = f'{{"version": {_VERSION}, "issuers": {{\n{issuers}\n}}, "max_ages": {max_ages}}}\n'.encode()
        if data == self._written:
            return
        try:
            atomic.write(self._path, data)
        except OSError as exc:
            raise self._unusable("written", exc) from exc
        self._written = data

    def _text(self, path: str, keyset: KeySet) -> tuple[KeySet, str]:
        """Serialize an issuer's keys, unless the last call did so for the same set."""
        last = self._texts.get(path)
        if last and last[0] is keyset:
            return last
        entries = [_entry(key) for key in keyset.keys]
        return keyset, f"{json.dumps(path)}: {json.dumps(entries, indent=1)}"

    def _unusable(self, what: str, exc: OSError) -> StateUnusable:
        return StateUnusable(f"{self._path} can't be {what}: {reason(exc)}; fix its directory's mode, or its disk.")


class Remembered:
    """What each issuer published before a restart, until it is taken; and what the next restart must know.

    Args:
        file: Where to read and write it; None to remember nothing.
        before: What was read already, by the issuer's path; None to read the file when it is needed.
    """

    def __init__(self, file: StateFile | None, before: Mapping[str, KeySet] | None = None) -> None:
        self._file = file
        self._before: dict[str, KeySet] | None = None if before is None else dict(before)
        self._now: Mapping[str, KeySet] | None = None

    def peek(self, issuer: str) -> KeySet | None:
        """Return what is remembered of an issuer."""
        return self._all().get(issuer)

    def take(self, issuer: str) -> None:
        """Forget what is remembered of an issuer, since it has it now."""
        self._all().pop(issuer, None)

    def _all(self) -> dict[str, KeySet]:
        if self._before is None:
            self._before = self._load()
        return self._before

    def drop(self) -> None:
        """Forget what no issuer has taken."""
        self._before = {}

    def put(self, keysets: Mapping[str, KeySet]) -> None:
        """Set the keys to write for the next restart, by the issuer's path."""
        self._now = keysets

    def save(self) -> Mapping[str, JwksError]:
        """Write what was not written yet; return what is wrong with that, by its code."""
        if self._file is None or self._now is None:
            return {}
        try:
            self._file.save({**(self._before or {}), **self._now})
        except StateUnusable as error:
            return {error.code: error}
        self._now = None
        return {}

    def _load(self) -> dict[str, KeySet]:
        try:
            return self._file.load() if self._file else {}
        except (StateDamaged, StateUnusable) as error:
            _log.warning("state-lost", code=error.code, reason=error.message)
            return {}


def _entry(key: Key) -> dict[str, Any]:
    return {
        "file": key.file,
        "first_published": key.first_published,
        "retiring_since": key.retiring_since,
        "not_after": key.public.not_after,
        "spki_sha256": key.public.spki_sha256,
        "jwk": json.loads(key.json),
    }


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
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError
    return value
