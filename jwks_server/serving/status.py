"""The program's status at one moment, as JSON for people and scripts."""

import time
from dataclasses import dataclass, field
from typing import Any

from jwks_server import __version__
from jwks_server.keys.changes import utc
from jwks_server.keys.keyset import Key, KeySet, Verdict
from jwks_server.published.catalog import Catalog
from jwks_server.serving.connections import Connections
from jwks_server.stats import Reloads


@dataclass(frozen=True, slots=True)
class Reported:
    """The parts of the program that status and metrics report on.

    Attributes:
        catalog: What is served.
        reloads: The outcomes of the reloads.
        connections: The public listener's connections and traffic.
        started: When the program began, in seconds since the epoch.
    """

    catalog: Catalog
    reloads: Reloads
    connections: Connections
    started: float = field(default_factory=time.time)

    def unready(self) -> str:
        """Tell why the server is not ready for traffic; empty if it is."""
        if self.connections.draining:
            return "The process is draining: it received SIGTERM."
        if not self.catalog.current.entries:
            faults = [f"{one.message} [{one.code}]" for errors in self.reloads.faults.values() for one in errors]
            return " ".join(("No key set has been loaded yet.", *faults))
        return ""


def status(reported: Reported) -> dict[str, Any]:
    """Describe everything: issuers with their keys and files, the watch, the last reload."""
    reloads = reported.reloads
    return {
        "version": __version__,
        "started": utc(reported.started),
        "ready": not reported.unready(),
        "unready": reported.unready() or None,
        "draining": reported.connections.draining,
        "connections": len(reported.connections),
        "watch": reloads.watch,
        "reload": {
            "last": _last(reloads),
            "last_success": _time(reloads.last_success),
            "faults": {
                issuer: [{"code": one.code, "reason": one.message} for one in errors]
                for issuer, errors in reloads.faults.items()
            },
        },
        "issuers": {
            issuer: {"max_age": entry.max_age, **_keyset(entry.keyset)}
            for issuer, entry in reported.catalog.current.entries.items()
        },
    }


def _last(reloads: Reloads) -> dict[str, Any] | None:
    if reloads.last is None:
        return None
    instant, trigger, outcome = reloads.last
    return {"at": utc(instant), "trigger": trigger, "outcome": outcome}


def _keyset(keyset: KeySet) -> dict[str, Any]:
    return {
        "digest": keyset.digest,
        "held": keyset.held,
        "next_change": _time(keyset.next_change),
        "keys": [_key(key) for key in (*keyset.keys, *keyset.pending)],
        "files": [_verdict(verdict) for verdict in keyset.verdicts],
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "kty": key.public.kind.kty,
        "alg": key.alg,
        "use": key.use,
        "file": key.file,
        "state": key.state,
        "first_published": _time(key.first_published),
        "safe_to_sign_at": _time(key.safe_to_sign_at),
        "publish_at": _time(key.publish_at),
        "remove_at": _time(key.remove_at),
        "retiring_since": _time(key.retiring_since),
        "retires_at": _time(key.retires_at),
        "certificate_not_after": _time(key.public.not_after),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    if verdict.error:
        return {
            "file": verdict.file,
            "verdict": "refused",
            "code": verdict.error.code,
            "reason": verdict.error.message,
        }
    if verdict.duplicate_of:
        return {"file": verdict.file, "verdict": "duplicate", "duplicate_of": verdict.duplicate_of}
    return {"file": verdict.file, "verdict": "published", "kids": list(verdict.kids)}


def _time(instant: float | None) -> str | None:
    return None if instant is None else utc(instant)
