"""The metrics of each issuer's keys, files and faults, written out as text: with many issuers they are most of all.

They are gauges, which Prometheus's format and OpenMetrics write alike.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from prometheus_client.utils import floatToGoString

from jwks_server.keys.keyset import Key
from jwks_server.serving.slices import Facts, Steps
from jwks_server.text import well_formed

PREFIX = "jwks_server_"

_TIMES: Mapping[str, tuple[str, Callable[[Key], float | None]]] = {
    "first_published": ("When clients could first see the key.", lambda key: key.first_published),
    "safe_to_sign": ("When every verifier has seen the key.", lambda key: key.safe_to_sign_at),
    "retires": ("When the key leaves the set.", lambda key: key.retires_at),
    "certificate_not_after": ("When the key's certificate expires.", lambda key: key.public.not_after),
}
# By name: the help text, and the labels after the issuer.
_FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "keys": ("How many keys there are.", ("stage", "alg")),
    "key_info": ("Each key.", ("kid", "alg", "use", "stage", "file")),
    **{f"key_{name}_timestamp_seconds": (meaning, ("kid",)) for name, (meaning, _) in _TIMES.items()},
    "set_info": ("The set's digest, as in its ETag.", ("digest",)),
    "files_refused": ("How many files give no key.", ("code",)),
    "faults": ("What is wrong now.", ("code",)),
}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

# The samples of each family, in the order of the families.
Samples = tuple[str, ...]


def write(issuer: str, facts: Facts) -> Steps[Samples]:
    """Write the samples of one issuer."""
    values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in _FAMILIES}
    number: Counter[tuple[str, ...]] = Counter()
    refused: Counter[tuple[str, ...]] = Counter()
    faults: Counter[tuple[str, ...]] = Counter((error.code,) for error in facts.faults)
    keyset = facts.entry.keyset if facts.entry else None
    for key in (*keyset.keys, *keyset.pending) if keyset else ():
        number[key.state, key.alg] += 1
        values["key_info"][key.kid, key.alg, key.use, key.state, key.file] = 1
        for name, (_, when) in _TIMES.items():
            if (instant := when(key)) is not None:
                values[f"key_{name}_timestamp_seconds"][(key.kid,)] = instant
        yield
    values["keys"].update(number)
    if keyset:
        values["set_info"][(keyset.digest,)] = 1
    for verdict in facts.evaluation.verdicts if facts.evaluation else ():
        if verdict.outcome == "refused" and verdict.error:
            refused[(verdict.error.code,)] += 1
        yield
    values["files_refused"].update(refused)
    values["faults"].update(faults)
    written = []
    for name, (_, labels) in _FAMILIES.items():
        lines = []
        for given, value in values[name].items():
            pairs = ",".join(
                f'{label}="{well_formed(text).translate(_ESCAPES)}"'
                for label, text in zip(("issuer", *labels), (issuer, *given), strict=True)
            )
            lines.append(f"{PREFIX}{name}{{{pairs}}} {_number(value)}\n")
            yield
        written.append("".join(lines))
    return tuple(written)


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # the library's own way to write numbers


def join(samples: Mapping[str, Samples]) -> Steps[bytes]:
    """Write the families with the samples of all issuers."""
    families = []
    for place, (name, (meaning, _)) in enumerate(_FAMILIES.items()):
        lines = "".join(written[place] for written in samples.values())
        families.append(f"# HELP {PREFIX}{name} {meaning}\n# TYPE {PREFIX}{name} gauge\n{lines}".encode())
        yield
    return b"".join(families)
