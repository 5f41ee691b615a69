"""check DIR: every file's verdict and every warning, before a server sees them."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from jwks_server import offline
from jwks_server.commands import output
from jwks_server.commands.arguments import Command, directory_argument, json_option, key_options
from jwks_server.keys.changes import utc
from jwks_server.keys.keyset import Key, KeySet, Verdict
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Settings

_EPILOG = """Exit code 0: every file is accepted. 1: a file is refused, jwks.toml is wrong, or there is no key.
2: the directory can't be read, or the command is called wrongly. Warnings change nothing about it."""


@click.command(name="check", cls=Command, epilog=_EPILOG)
@directory_argument
@key_options
@json_option
def command(*, settings: Settings, as_json: bool) -> None:
    """Judge each file in DIR as serve would, with the same options."""
    looks = offline.look(settings)
    judged = {issuer: list(_files(look.keyset)) for issuer, look in looks.items()}
    if as_json:
        output.document({"issuers": {issuer: _document(judged[issuer], look) for issuer, look in looks.items()}})
    else:
        rows = [
            (_place(issuer, file["file"]), file["verdict"], file["kid"], _detail(file))
            for issuer, files in judged.items()
            for file in files
        ]
        output.table(("FILE", "VERDICT", "KID", ""), rows)
        for issuer, look in looks.items():
            for finding in look.findings:
                output.line(f"{_place(issuer, finding.subject)}: {finding.reason} [{finding.code}]")
            if look.fault:
                output.line(f"{issuer}: {look.fault.message} [{look.fault.code}]")
    refused = any(file["verdict"] == "refused" for files in judged.values() for file in files)
    sys.exit(1 if refused or any(look.fault for look in looks.values()) else 0)


def _document(files: list[dict[str, str]], look: offline.Look) -> dict[str, Any]:
    fault = output.described(look.fault) if look.fault else None
    return {"files": files, "warnings": [asdict(finding) for finding in look.findings], "fault": fault}


def _files(keyset: KeySet) -> Iterator[dict[str, str]]:
    """List what became of each file's keys, and the keys whose files are gone."""
    keys = {key.kid: key for key in (*keyset.keys, *keyset.pending)}
    for verdict in keyset.verdicts:
        yield from _of_verdict(verdict, keys, keyset.policy)
    named = {kid for verdict in keyset.verdicts for kid in verdict.kids}
    for key in keyset.keys:
        if key.kid not in named:
            yield _of_key(key)


def _of_verdict(verdict: Verdict, keys: Mapping[str, Key], policy: Policy) -> Iterator[dict[str, str]]:
    file = {"file": verdict.file, "kid": ""}
    if verdict.error:
        yield {**file, "verdict": "refused", "code": verdict.error.code, "reason": verdict.error.message}
    elif verdict.duplicate_of is not None:
        yield {**file, "verdict": "duplicate", "duplicate_of": verdict.duplicate_of}
    for kid in verdict.kids:
        if kid in keys:
            yield _of_key(keys[kid])
        else:
            revoked = offline.removed_at(verdict, policy) is None
            yield {**file, "kid": kid, "verdict": "revoked" if revoked else "removed"}


def _of_key(key: Key) -> dict[str, str]:
    times = {"publish_at": key.publish_at if key.state == "pending" else None, "retires_at": key.retires_at}
    known = {name: utc(instant) for name, instant in times.items() if instant is not None}
    return {"file": key.file, "verdict": key.state, "kid": key.kid, "alg": key.alg, "use": key.use, **known}


def _detail(file: Mapping[str, str]) -> str:
    match file["verdict"]:
        case "refused":
            return f"{file['reason']} [{file['code']}]"
        case "duplicate":
            return f"the same key as in {file['duplicate_of']}"
    times = [f"{name} {file[name]}" for name in ("publish_at", "retires_at") if name in file]
    return ", ".join(one for one in (file.get("alg", ""), *times) if one)


def _place(issuer: str, name: str) -> str:
    """Name a file below the key directory."""
    return f"{issuer.strip('/')}/{name}".lstrip("/")
