"""The metrics of each issuer's keys, files and reloads, written out as text: with many issuers they are most of all.

Without ``--metrics-per-issuer`` only what needs attention is written of each issuer, so that the number of series does
not grow with the number of issuers. They are gauges, which Prometheus's format and OpenMetrics write alike.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client.utils import floatToGoString

from jwks_server.keys.keyset import Key
from jwks_server.serving.slices import Facts, Steps
from jwks_server.text import well_formed

PREFIX = "jwks_server_"
CERTIFICATE = "key_certificate_not_after_timestamp_seconds"

_TIMES: Mapping[str, tuple[str, Callable[[Key], float | None]]] = {
    "first_published": ("When clients could first see the key.", lambda key: key.first_published),
    "safe_to_sign": ("When every verifier has seen the key.", lambda key: key.safe_to_sign_at),
    "retires": ("When the key leaves the set.", lambda key: key.retires_at),
}
# By name: the help text, and the labels after the issuer. These are written where something is wrong.
_FAULTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "faults": ("What is wrong now.", ("code",)),
    "issuer_failing_since_timestamp_seconds": ("Since when each reload of the issuer has failed.", ()),
    "issuer_published_keys": ("How many published keys the issuer has.", ()),
    "issuer_last_reload_successful": ("Whether the issuer's last reload found no fault.", ()),
}
# These are written with --metrics-per-issuer only.
_DETAILS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "issuer_last_reload_timestamp_seconds": ("When a reload last changed the issuer, or began to fail.", ()),
    "issuer_keys": ("How many keys the issuer has.", ("stage", "alg")),
    "issuer_set_info": ("The digest of the issuer's set, as in its ETag.", ("digest",)),
    "issuer_files_refused": ("How many of the issuer's files give no key.", ("code",)),
    "key_info": ("Each key.", ("kid", "alg", "use", "stage", "file")),
    **{f"key_{name}_timestamp_seconds": (meaning, ("kid",)) for name, (meaning, _) in _TIMES.items()},
}
_FAMILIES = {**_FAULTS, **_DETAILS}
_OF_CERTIFICATES = "When a published key's certificate expires."
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

_Labelled = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of an issuer, in numbers.

    Attributes:
        samples: The text of each family, in the families' order.
        keys: The number of keys by stage and alg.
        refused: The number of refused files by code.
        digest: The set's digest; empty without one.
        certificates: When each published key's certificate expires, with its sample.
    """

    samples: tuple[str, ...]
    keys: Counter[tuple[str, str]]
    refused: Counter[str]
    digest: str
    certificates: tuple[tuple[float, str], ...]


def figures(issuer: str, facts: Facts, *, details: bool) -> Steps[Figures]:
    """Count what there is of one issuer, and write its samples."""
    keyset = facts.entry.keyset if facts.entry else None
    keys = (*keyset.keys, *keyset.pending) if keyset else ()
    number: Counter[tuple[str, str]] = Counter()
    refused: Counter[str] = Counter()
    certificates: list[tuple[float, str]] = []
    for key in keys:
        number[key.state, key.alg] += 1
        if key.state == "published" and (end := key.public.not_after) is not None:
            certificates.append((end, _line(CERTIFICATE, ("kid",), issuer, (key.kid,), end)))
        yield
    for verdict in facts.evaluation.verdicts if facts.evaluation else ():
        if verdict.outcome == "refused" and verdict.error:
            refused[verdict.error.code] += 1
        yield
    values = _of_reloads(facts, details=details)
    published = sum(count for (stage, _), count in number.items() if stage == "published")
    # An issuer whose first key is planned, and one without a folder of its own, lack nothing yet.
    planned = facts.evaluation and facts.evaluation.keyset and facts.evaluation.keyset.pending
    if details or (not published and (facts.entry or (facts.evaluation and not planned))):
        values["issuer_published_keys"] = {(): published}
    if details:
        values["issuer_keys"] = {labels: float(count) for labels, count in number.items()}
        values["issuer_set_info"] = {(keyset.digest,): 1} if keyset else {}
        values["issuer_files_refused"] = {(code,): count for code, count in refused.items()}
        values["key_info"] = {(key.kid, key.alg, key.use, key.state, key.file): 1 for key in keys}
        for name, (_, when) in _TIMES.items():
            times = {(key.kid,): when(key) for key in keys}
            values[f"key_{name}_timestamp_seconds"] = {kid: one for kid, one in times.items() if one is not None}
    written = []
    for name, (_, labels) in _FAMILIES.items():
        lines = []
        for given, value in values.get(name, {}).items():
            lines.append(_line(name, labels, issuer, given, value))
            yield
        written.append("".join(lines))
    return Figures(tuple(written), number, refused, keyset.digest if keyset else "", tuple(certificates))


def _of_reloads(facts: Facts, *, details: bool) -> dict[str, _Labelled]:
    values: dict[str, _Labelled] = {"faults": dict(Counter((error.code,) for error in facts.faults))}
    if facts.reload is None:
        return values
    since = facts.reload.failing_since
    if since is not None:
        values["issuer_failing_since_timestamp_seconds"] = {(): since}
    if since is not None or details:
        values["issuer_last_reload_successful"] = {(): since is None}
    if details:
        values["issuer_last_reload_timestamp_seconds"] = {(): facts.reload.at}
    return values


def _line(name: str, labels: tuple[str, ...], issuer: str, given: tuple[str, ...], value: float) -> str:
    pairs = ",".join(
        f'{label}="{well_formed(text).translate(_ESCAPES)}"'
        for label, text in zip(("issuer", *labels), (issuer, *given), strict=True)
    )
    number = str(floatToGoString(value))  # type: ignore[no-untyped-call]  # the library's own way to write numbers
    return f"{PREFIX}{name}{{{pairs}}} {number}\n"


def join(found: Mapping[str, Figures]) -> Steps[bytes]:
    """Write the families with the samples of all issuers."""
    families = []
    for place, (name, (meaning, _)) in enumerate(_FAMILIES.items()):
        families.append(_family(name, meaning, "".join(one.samples[place] for one in found.values())))
        yield
    return b"".join(families)


def of_certificates(lines: str) -> bytes:
    """Write the family of the keys' certificates."""
    return _family(CERTIFICATE, _OF_CERTIFICATES, lines)


def _family(name: str, meaning: str, lines: str) -> bytes:
    return f"# HELP {PREFIX}{name} {meaning}\n# TYPE {PREFIX}{name} gauge\n{lines}".encode()
