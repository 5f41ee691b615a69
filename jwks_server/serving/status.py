"""The program's status at one moment, as JSON for people and scripts."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from jwks_server import __version__
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.instants import utc
from jwks_server.keys.keyset import Key
from jwks_server.keys.verdict import document
from jwks_server.published.catalog import Catalog, Entry
from jwks_server.serving.connections import Connections
from jwks_server.stats import Reloads


@dataclass(frozen=True, slots=True)
class Reported:
    """The parts of the program that status and metrics report on.

    Attributes:
        catalog: What is served.
        reloads: The outcomes of the reloads, and what was decided about each issuer.
        connections: The public listener's connections and traffic.
        started: When the program began, in seconds since the epoch.
    """

    catalog: Catalog
    reloads: Reloads
    connections: Connections
    started: float = field(default_factory=time.time)

    def unready(self) -> str:
        """Return why the server is not ready for traffic; empty if it is."""
        if self.connections.draining:
            return "The process is draining: it received SIGTERM."
        if not self.catalog.current.entries:
            codes = dict.fromkeys(f"[{one.code}]" for errors in self.reloads.faults.values() for one in errors)
            return " ".join(("No key set has been loaded yet; see the log, or /status.", *codes))
        return ""


def status(reported: Reported) -> dict[str, Any]:
    """Describe everything: issuers with their keys, files and findings, the watch, the last reload."""
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
            issuer: _issuer(evaluation, reported.catalog.current.entries.get(issuer))
            for issuer, evaluation in reloads.issuers.items()
            if evaluation.decided_at is not None
        },
    }


def _last(reloads: Reloads) -> dict[str, Any] | None:
    if reloads.last is None:
        return None
    instant, trigger, outcome = reloads.last
    return {"at": utc(instant), "trigger": trigger, "outcome": outcome}


def _issuer(evaluation: Evaluation, entry: Entry | None) -> dict[str, Any]:
    """Describe an issuer; before it has a set, only its files and findings."""
    served, pending = evaluation.served, evaluation.keyset.pending if evaluation.keyset else ()
    return {
        "max_age": entry.max_age if entry else None,
        "digest": served.digest if served else None,
        "held": bool(served and served.held),
        "next_change": _time(served.next_change) if served else None,
        "keys": [_key(key) for key in (*(served.keys if served else ()), *pending)],
        "files": [document(verdict) for verdict in evaluation.verdicts],
        "findings": [asdict(finding) for finding in evaluation.findings],
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "kty": key.public.kind.kty,
        "alg": key.alg,
        "use": key.use,
        "file": key.file,
        "stage": key.state,
        "first_published": _time(key.first_published),
        "safe_to_sign_at": _time(key.safe_to_sign_at),
        "publish_at": _time(key.publish_at),
        "remove_at": _time(key.remove_at),
        "retiring_since": _time(key.retiring_since),
        "retires_at": _time(key.retires_at),
        "certificate_not_after": _time(key.public.not_after),
    }


def _time(instant: float | None) -> str | None:
    return None if instant is None else utc(instant)
