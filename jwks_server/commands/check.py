"""check DIR: every file's verdict and every finding, before a server sees them."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from jwks_server.commands import output
from jwks_server.commands.arguments import Command, directory_argument, json_option, key_options
from jwks_server.keys.evaluation import Evaluation
from jwks_server.keys.keyset import Key
from jwks_server.keys.lint import OF_THE_SET
from jwks_server.keys.verdict import document
from jwks_server.options.settings import Settings
from jwks_server.source.issuers import Evaluated, evaluated

_EXITS = {
    0: "Every file is accepted. There may be warnings.",
    1: "A file is refused, jwks.toml is wrong, or a set has no key.",
    2: "The directory can't be read, or the command is called wrongly.",
}


@click.command(name="check", cls=Command, exits=_EXITS)
@directory_argument
@key_options
@json_option
def command(*, settings: Settings, as_json: bool) -> None:
    """Judge each file in DIR as serve would, with the same options."""
    issuers = evaluated(settings)
    if as_json:
        output.document({"issuers": {path: _document(one) for path, one in issuers.items()}})
    else:
        _print(issuers)
    sys.exit(0 if all(_is_good(one) for one in issuers.values()) else 1)


def _is_good(one: Evaluated) -> bool:
    refused = any(verdict.outcome == "refused" for verdict in one.issuer.evaluation.verdicts)
    served = one.issuer.evaluation.served
    return not refused and not one.fault and served is not None and bool(served.keys)


def _document(one: Evaluated) -> dict[str, Any]:
    evaluation = one.issuer.evaluation
    return {
        "files": list(_rows(evaluation)),
        "ignored": [{"file": name, "reason": why} for name, why in sorted(evaluation.ignored.items())],
        "findings": [asdict(finding) for finding in evaluation.findings],
        "fault": output.described(one.fault) if one.fault else None,
    }


def _print(issuers: Mapping[str, Evaluated]) -> None:
    rows = [
        (_place(path, row["file"]), row["verdict"], row.get("kid", ""), row.get("alg", ""), _detail(row))
        for path, one in issuers.items()
        for row in _rows(one.issuer.evaluation)
    ]
    rows += [
        (_place(path, name), "ignored", "", "", why)
        for path, one in issuers.items()
        for name, why in sorted(one.issuer.evaluation.ignored.items())
    ]
    output.table(("FILE", "VERDICT", "KID", "ALG"), rows, notes=True)
    for path, one in issuers.items():
        for finding in one.issuer.evaluation.findings:
            subject = one.issuer.folder if finding.subject == OF_THE_SET else _place(path, finding.subject)
            output.line(f"{subject}: {finding.reason} [{finding.code}]")
        if one.fault:
            output.line(f"{one.issuer.folder}: {one.fault.message} [{one.fault.code}]")


def _rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """List each verdict, one row for each key."""
    keyset = evaluation.keyset
    keys = {key.identity: key for key in (*keyset.keys, *keyset.pending)} if keyset else {}
    for verdict in evaluation.verdicts:
        members = document(verdict)
        del members["kids"]
        if not verdict.identities:
            yield members
        for identity in verdict.identities:
            yield {**members, "kid": identity[0], **_of_key(keys.get(identity))}


def _of_key(key: Key | None) -> dict[str, str]:
    return {"alg": key.alg, "use": key.use} if key else {}


def _detail(row: Mapping[str, str]) -> str:
    parts = [f"{name} {row[name]}" for name in ("until", "since") if name in row]
    if "duplicate_of" in row:
        parts.append(f"the same key as in {row['duplicate_of']}")
    if "code" in row:
        parts.append(f"{row['reason']} [{row['code']}]")
    return ", ".join(parts)


def _place(issuer: str, name: str) -> str:
    """Name a file below the key directory."""
    return f"{issuer.strip('/')}/{name}".lstrip("/")
