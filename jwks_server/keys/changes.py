"""Two key sets -> what is different: one log line each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from jwks_server.keys.keyset import Key, KeySet, Verdict

# Every event of a change; docs/reference/log-events.md tells their levels and fields.
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


@dataclass(frozen=True, slots=True)
class Change:
    """A key or file whose standing is not what it was.

    Attributes:
        event: ``key-pending``, ``key-published``, ``key-retiring``, ``key-withdrawn``, ``file-duplicate``,
            ``file-refused`` or ``issuer-withdrawn``.
        fields: File, kid, alg, code, reason and times, as far as they apply.
    """

    event: str
    fields: Mapping[str, str]


def key_changes(previous: KeySet | None, current: KeySet) -> Iterator[Change]:
    """Tell which keys came, went, or changed their state or a member."""
    before = _by_identity(previous)
    after = _by_identity(current)
    for identity, key in after.items():
        last = before.get(identity)
        if last is not key and (last is None or (last.state, last.json) != (key.state, key.json)):
            yield Change(f"key-{key.state}", _fields(key))
    for identity, key in before.items():
        if identity not in after and key.state != "pending":
            yield Change("key-withdrawn", _fields(key))


def file_changes(previous: KeySet | None, current: KeySet) -> Iterator[Change]:
    """Tell which files are newly refused, or newly left out as duplicates."""
    before = [_file_change(verdict) for verdict in previous.verdicts] if previous else []
    known = {change.fields["file"]: change for change in before if change}
    for verdict in current.verdicts:
        change = _file_change(verdict)
        if change is not None and known.get(verdict.file) != change:
            yield change


def utc(instant: float) -> str:
    """Write a time as RFC 3339 in UTC."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _by_identity(keyset: KeySet | None) -> dict[tuple[str, str], Key]:
    return {key.identity: key for key in (*keyset.keys, *keyset.pending)} if keyset else {}


def _fields(key: Key) -> dict[str, str]:
    times = {
        "publish_at": key.publish_at if key.state == "pending" else None,
        "first_published": key.first_published,
        "safe_to_sign_at": key.safe_to_sign_at if key.state == "published" else None,
        "retires_at": key.retires_at,
        "not_after": key.public.not_after,
    }
    return {
        "file": key.file,
        "kid": key.kid,
        "alg": key.alg,
        **{name: utc(instant) for name, instant in times.items() if instant is not None},
    }


def _file_change(verdict: Verdict) -> Change | None:
    if error := verdict.error:
        return Change("file-refused", {"file": verdict.file, "code": error.code, "reason": error.message})
    if verdict.duplicate_of is not None:
        return Change("file-duplicate", {"file": verdict.file, "duplicate_of": verdict.duplicate_of})
    return None
