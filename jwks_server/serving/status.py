"""The program's status at one moment, as JSON for people and scripts."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jwks_server import __version__
from jwks_server.errors import JwksError
from jwks_server.keys.instants import utc
from jwks_server.keys.keyset import Key
from jwks_server.keys.verdict import document
from jwks_server.published.catalog import Catalog
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.compressed import Part
from jwks_server.serving.connections import Connections
from jwks_server.serving.slices import Facts, PerIssuer, Steps, in_slices
from jwks_server.stats import Reloads


@dataclass(frozen=True, slots=True)
class Reported:
    """The parts of the program that status and metrics report on.

    Attributes:
        catalog: What is served.
        reloads: The outcomes of the reloads, and what was decided about each issuer.
        connections: The public listener's connections and traffic.
        certificate: The public listener's certificate; None without TLS.
        started: When the program began, in seconds since the epoch.
    """

    catalog: Catalog
    reloads: Reloads
    connections: Connections
    certificate: Certificate | None = None
    started: float = field(default_factory=time.time)

    def unready(self) -> str:
        """Return why the server is not ready for traffic; empty if it is."""
        if self.connections.draining:
            return "The process is draining: it received SIGTERM."
        if not self.catalog.current.entries:
            codes = dict.fromkeys(f"[{one.code}]" for errors in self.reloads.faults.values() for one in errors)
            return " ".join(("No key set has been loaded yet; see the log, or /status.", *codes))
        return ""

    def facts(self) -> Mapping[str, Facts]:
        """Return what is known about each issuer now."""
        entries, issuers = self.catalog.current.entries, self.reloads.issuers
        faults, reloads = self.reloads.faults, self.reloads.of_issuers
        named = dict.fromkeys((*issuers, *entries)) | dict.fromkeys(faults)
        return {
            path: Facts(entries.get(path), issuers.get(path), faults.get(path, ()), reloads.get(path)) for path in named
        }


class Status:
    """The status of a program.

    Args:
        reported: What it reports on.
    """

    def __init__(self, reported: Reported) -> None:
        self._reported = reported
        self._per_issuer = PerIssuer(_issuer)
        self._written: Mapping[str, str] | None = None
        self._issuers = Part(b"")

    async def document(self) -> Sequence[Part]:
        """Describe everything: issuers with their keys, files and findings, the watch, the last reload.

        Returns:
            The parts of a JSON document.
        """
        written = await in_slices(self._per_issuer.steps(self._reported.facts()))
        if written is not self._written:
            self._issuers = Part(await in_slices(_join(written)))
            self._written = written
        return Part(_text(summary(self._reported))[:-2] + b',\n "issuers": '), self._issuers, Part(b"\n}\n")


def summary(reported: Reported) -> dict[str, Any]:
    """Describe what is not about one issuer."""
    reloads = reported.reloads
    return {
        "version": __version__,
        "started": utc(reported.started),
        "ready": not reported.unready(),
        "unready": reported.unready() or None,
        "draining": reported.connections.draining,
        "connections": len(reported.connections),
        "watch": reloads.watch,
        "certificate": _certificate(reported.certificate),
        "rescan": reloads.pace and {"every_seconds": round(reloads.pace.every, 3), "reason": reloads.pace.reason},
        "reload": {
            "last": _last(reloads),
            "last_success": _time(reloads.last_success),
            "last_scan": _time(reloads.last_scan),
            "faults": {issuer: _faults(errors) for issuer, errors in reloads.faults.items()},
        },
        "signing_too_early_until": {
            issuer: utc(until) for issuer, until in reloads.too_early.items() if until > time.time()
        },
    }


def _certificate(certificate: Certificate | None) -> dict[str, Any] | None:
    if certificate is None:
        return None
    period = certificate.validity
    return {
        "file": certificate.file,
        "loaded": utc(certificate.loaded),
        "not_before": _time(period.not_before if period else None),
        "not_after": _time(period.not_after if period else None),
        "faults": _faults(certificate.faults),
    }


def _faults(errors: Iterable[JwksError]) -> list[dict[str, str]]:
    return [{"code": one.code, "reason": one.message} for one in errors]


def _last(reloads: Reloads) -> dict[str, Any] | None:
    if reloads.last is None:
        return None
    instant, trigger, outcome = reloads.last
    return {"at": utc(instant), "trigger": trigger, "outcome": outcome}


def _issuer(issuer: str, facts: Facts) -> Steps[str]:
    """Describe an issuer; before it has a set, only its files and findings. Nothing before anything was decided."""
    evaluation, entry = facts.evaluation, facts.entry
    if evaluation is None or evaluation.decided_at is None:
        return ""
    served, pending = evaluation.served, evaluation.keyset.pending if evaluation.keyset else ()
    lines = yield from _lines(
        {
            "keys": (_key(key) for key in (*(served.keys if served else ()), *pending)),
            "files": map(document, evaluation.verdicts),
            "findings": map(asdict, evaluation.findings),
        }
    )
    reload = facts.reload
    about = {
        "reload": {
            "at": utc(reload.at),
            "outcome": reload.outcome,
            "failing_since": _time(reload.failing_since),
        }
        if reload
        else None,
        "max_age": entry.keyset.policy.max_age if entry else None,
        "digest": served.digest if served else None,
        "held": bool(served and served.held),
        "next_change": _time(served.next_change) if served else None,
    }
    fields = [f"   {_line(name)}: {_line(value)}" for name, value in about.items()]
    return f"  {_line(issuer)}: {{\n" + ",\n".join((*fields, *lines)) + "\n  }"


def _lines(lists: Mapping[str, Iterable[Mapping[str, Any]]]) -> Steps[list[str]]:
    """Write lists as members of an object, with a line for each item."""
    members = []
    for name, items in lists.items():
        lines = []
        for item in items:
            lines.append(f"    {_line(item)}")
            yield
        members.append(f"   {_line(name)}: [" + (",\n".join(["", *lines])[1:] + "\n   ]" if lines else "]"))
    return members


def _join(written: Mapping[str, str]) -> Steps[bytes]:
    about = ",\n".join(text for text in written.values() if text)
    yield
    return _encoded("{\n" + about + "\n }" if about else "{}")


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: object) -> bytes:
    return _encoded(json.dumps(value, indent=1, ensure_ascii=False))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


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
