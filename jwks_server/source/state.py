"""What must outlive a restart: when each key was first published, and the keys that are retiring.

The file holds public data only: the JWKs as they are published, and times in seconds since the epoch.
"""

import json
import os
from pathlib import Path
from typing import Any

from jwks_server.errors import StateDamaged, StateUnusable
from jwks_server.keys.jwk import PublicKey, thumbprint
from jwks_server.keys.keyset import Key, KeySet
from jwks_server.keys.kinds import KINDS
from jwks_server.keys.policy import Policy

_VERSION = 1
_COMMON_MEMBERS = ("kty", "kid", "use", "alg")
_X5_MEMBERS = ("x5c", "x5t#S256")
_OWN_MEMBERS = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}, "AKP": {"pub"}}


class StateFile:
    """The file named by ``--state``.

    Args:
        path: Where it is; its directory must be writable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def load(self, *, set_aside: bool = True) -> KeySet | None:
        """Read the last published keys; None where there is no file.

        Args:
            set_aside: Whether to rename a damaged file to ``*.damaged``; who only looks leaves it.

        Raises:
            StateDamaged: The contents are not what ``save`` writes.
            StateUnusable: The file can't be read.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._unusable("read", exc) from exc
        try:
            keys = tuple(_key(entry) for entry in _entries(json.loads(data)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            if not set_aside:
                raise StateDamaged(f"{self._path} is damaged; remove it.") from exc
            aside = self._path.with_name(self._path.name + ".damaged")
            try:
                self._path.replace(aside)
            except OSError as failed:
                raise self._unusable("set aside", failed) from failed
            raise StateDamaged(f"{self._path} is damaged and was renamed to {aside.name}; its times are lost.") from exc
        return KeySet(keys, Policy())

    def save(self, keyset: KeySet) -> None:
        """Write the published and retiring keys, so that a crash leaves either the old file or the new one.

        Raises:
            StateUnusable: The file can't be written.
        """
        document = {"version": _VERSION, "keys": [_entry(key) for key in keyset.keys]}
        data = json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8") + b"\n"
        if data == self._written:
            return
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as exc:
            raise self._unusable("written", exc) from exc
        self._written = data

    def _unusable(self, what: str, exc: OSError) -> StateUnusable:
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        return StateUnusable(f"{self._path} can't be {what}: {reason}; mend its directory's mode, or its disk.")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _entry(key: Key) -> dict[str, Any]:
    return {
        "file": key.file,
        "first_published": key.first_published,
        "retiring_since": key.retiring_since,
        "not_after": key.public.not_after,
        "spki_sha256": key.public.spki_sha256,
        "jwk": json.loads(key.json),
    }


def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    if document["version"] != _VERSION:
        raise ValueError("another version")
    entries: list[dict[str, Any]] = document["keys"]
    return entries


def _key(entry: dict[str, Any]) -> Key:
    """Read a key back, strictly: a member that is not public by name makes the whole file damaged."""
    jwk = entry["jwk"]
    own = _OWN_MEMBERS[jwk["kty"]]
    if not {*_COMMON_MEMBERS, *own} <= jwk.keys() <= {*_COMMON_MEMBERS, *own, *_X5_MEMBERS}:
        raise ValueError("other members than a public key's")
    kind = KINDS[jwk.get("crv") or (jwk["alg"] if jwk["kty"] == "AKP" else "RSA")]
    public = PublicKey(
        kind=kind,
        members={name: _text(jwk[name]) for name in jwk if name in own},
        x5={name: jwk[name] for name in jwk if name in _X5_MEMBERS},
        thumbprint=thumbprint({name: jwk[name] for name in ("kty", "alg", *own)}),
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
