"""Two evaluations -> what is different: one log line each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.instants import utc
from jwks_server.keys.keyset import Key
from jwks_server.keys.merge import differing
from jwks_server.keys.verdict import Verdict

# Every event of a change; docs/reference/log-events.md lists their levels and fields.
EVENTS = (
    "key-pending",
    "key-published",
    "key-retiring",
    "key-removed",
    "key-revoked",
    "key-withdrawn",
    "file-duplicate",
    "file-refused",
    "file-kept",
    "finding",
    "issuer-withdrawn",
)


_OfFile = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Change:
    """A key, a file or an issuer that is not what it was.

    Attributes:
        event: ``key-pending``, ``key-published``, ``key-retiring``, ``key-removed``, ``key-revoked``,
            ``key-withdrawn``, ``file-duplicate``, ``file-refused``, ``file-kept``, ``finding`` or
            ``issuer-withdrawn``.
        fields: File, kid, alg, code, reason and times, as far as they apply.
        known: Whether the state says that it was so before a restart.
    """

    event: str
    fields: Mapping[str, str]
    known: bool = False


@dataclass(frozen=True, slots=True)
class _Standing:
    """A key's stage, the verdict that says so, and the key if it is in the set or will be."""

    stage: str
    verdict: Verdict
    key: Key | None = None

    def same_as(self, other: "_Standing") -> bool:
        json, others = (one.key.json if one.key else b"" for one in (self, other))
        return (self.stage, self.verdict.file, json) == (other.stage, other.verdict.file, others)


def changes(previous: Evaluation, current: Evaluation) -> Iterator[Change]:
    """List what changed since the last evaluation: files, then keys that left, then other keys."""
    old, new = _different(previous, current)
    known = {_without_until(change) for verdict in old for change in _of_file(verdict)}
    for verdict in new:
        for change in _of_file(verdict):
            if _without_until(change) not in known:
                yield Change(change[0], dict(change[1]))
    before, after = _standings(previous, old), _standings(current, new)
    remembered = _remembered(previous)
    for identity, standing in before.items():
        # A pending key was in no set, so that it can't leave one; revoked and removed keys have left.
        if identity not in after and standing.stage in {"published", "retiring"}:
            yield Change("key-withdrawn", _fields(identity[0], standing.verdict, standing.key, "withdrawn"))
    for identity, standing in after.items():
        last = before.get(identity)
        if last is None or not standing.same_as(last):
            key = standing.key or (last.key if last else None)
            same = (identity, standing.stage, key.json if key else b"") in remembered
            yield Change(f"key-{standing.stage}", _fields(identity[0], standing.verdict, key, standing.stage), same)
    if current.gone and previous.serves:
        yield Change("issuer-withdrawn", {})


def new_findings(previous: Evaluation, current: Evaluation) -> Iterator[Change]:
    """List the findings that are new."""
    known = frozenset(previous.findings)
    return (Change("finding", asdict(finding)) for finding in current.findings if finding not in known)


def _remembered(previous: Evaluation) -> frozenset[tuple[tuple[str, str], str, bytes]]:
    """Take from the first evaluation's past what the state holds: each key with its stage and its JWK."""
    if previous.decided_at is not None or previous.keyset is None:
        return frozenset()
    keys = (*previous.keyset.keys, *previous.keyset.pending)
    return frozenset((key.identity, key.state, key.json) for key in keys)


def _different(previous: Evaluation, current: Evaluation) -> tuple[Sequence[Verdict], Sequence[Verdict]]:
    """Leave out verdicts that are the same objects, since all about their keys is the same too."""
    if previous.serves != current.serves:
        return previous.verdicts, current.verdicts
    return differing(previous.verdicts, current.verdicts)


def _standings(evaluation: Evaluation, verdicts: Sequence[Verdict]) -> dict[tuple[str, str], _Standing]:
    keyset = evaluation.keyset
    kids = {kid for verdict in verdicts for kid in verdict.kids}
    in_set = {key.identity: key for key in keyset.keys if key.kid in kids} if keyset and evaluation.serves else {}
    pending = {key.identity: key for key in keyset.pending if key.kid in kids} if keyset else {}
    found: dict[tuple[str, str], _Standing] = {}
    for verdict in verdicts:
        for identity in verdict.identities:
            key = in_set.get(identity) or pending.get(identity)
            # A kept key is where it was before its file turned bad or vanished.
            stage = key.state if key and verdict.outcome == "kept" else verdict.outcome
            found[identity] = _Standing(stage, verdict, key)
    return found


def _fields(kid: str, verdict: Verdict, key: Key | None, stage: str) -> dict[str, str]:
    times: dict[str, float | None] = {"since": verdict.since if stage == "removed" else None}
    if key and stage not in {"removed", "revoked"}:
        times = {
            "publish_at": key.publish_at if stage == "pending" else None,
            "first_published": key.first_published,
            "safe_to_sign_at": key.safe_to_sign_at if stage == "published" else None,
            "retires_at": key.retires_at,
            "certificate_not_after": key.public.not_after,
        }
    return {
        "file": verdict.file,
        "kid": kid,
        **({"alg": key.alg} if key else {}),
        **{name: utc(instant) for name, instant in times.items() if instant is not None},
    }


def _without_until(change: _OfFile) -> _OfFile:
    """Leave out a time that moves while somebody is still writing."""
    return change[0], tuple(field for field in change[1] if field[0] != "until")


def _of_file(verdict: Verdict) -> Iterator[_OfFile]:
    """Write what is logged of a file as a whole, hashable."""
    fields = {"file": verdict.file}
    if verdict.duplicate_of is not None:
        fields["duplicate_of"] = verdict.duplicate_of
    if verdict.outcome == "kept" and verdict.until is not None:
        fields["until"] = utc(verdict.until)
    if verdict.error:
        fields |= {"code": verdict.error.code, "reason": verdict.error.message}
    if verdict.outcome in {"duplicate", "refused", "kept"}:
        yield f"file-{verdict.outcome}", tuple(fields.items())
