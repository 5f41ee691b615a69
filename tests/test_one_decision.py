"""check, /status, the log and verify tell the same of each file, since one function decides it."""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support import certificate_pem, certify, key, public_pem, sign, thumbprint

from jwks_server.cli import cli
from jwks_server.commands.judged import judge
from jwks_server.keys.keyset import read_file
from jwks_server.keys.policy import Policy
from jwks_server.options.settings import Settings, Timing
from jwks_server.published.catalog import Catalog
from jwks_server.published.pages import Endpoint
from jwks_server.remote.tokens import parse
from jwks_server.serving.connections import Connections
from jwks_server.serving.status import Reported, Status
from jwks_server.source.clock import Clock
from jwks_server.source.directory import Directory
from jwks_server.source.issuers import evaluated
from jwks_server.source.reload import Reloader
from jwks_server.source.state import StateFile
from jwks_server.stats import Reloads

NOW = 1_800_000_000.0
RETAIN = 3600
PATH = "/.well-known/jwks.json"
ALGS = {"RSA": "RS256", "P-256": "ES256", "Ed448": "EdDSA"}
SIGNERS = [("P-256", 0), ("P-256", 1), ("P-256", 2), ("RSA", 0), ("Ed448", 0)]
PEMS = {f"{kind}-{number}": public_pem(key(kind, number)) for kind, number in SIGNERS}
CONTENTS = {
    **PEMS,
    "certificate": certificate_pem(certify(key("P-256", 0))),
    "two": PEMS["P-256-1"] + PEMS["RSA-0"],
    "half": PEMS["P-256-0"][:-40],
    "empty": b"",
}
PRIVATE = {thumbprint(key(kind, number)): (kind, number) for kind, number in SIGNERS}
FILES = ("a.pem", "b.pem", "c.pem", "d.pem")

Row = tuple[str, str, str, str, str, str]


@dataclass
class Nobody:
    """A listener without clients."""

    draining: bool = False

    def __len__(self) -> int:
        """Count the connections."""
        return 0


def _table(file: str, said: Mapping[str, str]) -> str:
    return f'[keys."{file}"]\n' + "".join(f"{name} = {value}\n" for name, value in said.items())


PER_FILE = st.fixed_dictionaries(
    {},
    optional={
        "publish_at": st.sampled_from(["2020-01-01T00:00:00Z", "2096-01-01T00:00:00Z"]),
        "remove_at": st.sampled_from(["2021-01-01T00:00:00Z", "2097-01-01T00:00:00Z"]),
        "kid": st.sampled_from(['"same"', '"a"']),
        "aliases": st.sampled_from(['["old"]', '["older", "oldest"]']),
    },
)
REVOKED = st.lists(st.sampled_from(["a", "b", "old", "older", "same", "typo", *PRIVATE]), max_size=2)


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Write a jwks.toml, sometimes a wrong one."""
    if draw(st.integers(0, 9)) == 0:
        return "nonsense"
    lines = [
        f'kid = "{draw(st.sampled_from(["thumbprint", "filename", "spki-sha256"]))}"',
        f"allow = {json.dumps(draw(st.sampled_from([[], ['Ed448']])))}",
        f"allow_empty = {draw(st.sampled_from(['true', 'false']))}",
        f"revoked = {json.dumps(draw(REVOKED))}",
    ]
    tables = draw(st.dictionaries(st.sampled_from((*FILES, "typo.pem")), PER_FILE, max_size=3))
    return "\n".join(lines) + "\n" + "".join(_table(file, said) for file, said in tables.items())


FOLDERS = st.tuples(
    st.dictionaries(st.sampled_from(FILES), st.sampled_from(sorted(CONTENTS)), max_size=4),
    st.one_of(st.none(), policies()),
)
DIRECTORIES = st.dictionaries(st.sampled_from(["", "acme", "beta"]), FOLDERS, min_size=1, max_size=3)


def write(directory: Path, folders: Mapping[str, tuple[Mapping[str, str], str | None]]) -> None:
    """Make the directory hold exactly this."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name, (files, policy) in folders.items():
        (directory / name).mkdir(exist_ok=True)
        for file, content in files.items():
            (directory / name / file).write_bytes(CONTENTS[content])
        if policy is not None:
            (directory / name / "jwks.toml").write_text(policy)


def serve_once(directory: Path, state: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Start the reloader on the directory; give the status and the log."""
    catalog, reloads, file = Catalog(), Reloads(), StateFile(state)
    reloader = Reloader(
        Directory(directory, ["*.pem"]),
        Policy(retain=RETAIN),
        catalog,
        Endpoint(PATH),
        timing=Timing(),
        state=file,
        reloads=reloads,
        clock=Clock(lambda: NOW, None),
    )
    with capture_logs() as logs:
        asyncio.run(reloader.reload())
    file.close()
    parts = asyncio.run(Status(Reported(catalog, reloads, cast("Connections", Nobody()))).document())
    return json.loads(b"".join(part.data for part in parts)), [dict(one) for one in logs]


def check(directory: Path, state: Path) -> dict[str, Any]:
    """Run check in this process."""
    arguments = ["check", str(directory), "--state", str(state), "--retain", str(RETAIN), "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code in {0, 1}, done.output
    document: dict[str, Any] = json.loads(done.stdout)["issuers"]
    rows = [row for issuer in document.values() for row in issuer["files"]]
    bad = any(row["verdict"] == "refused" for row in rows) or any(issuer["fault"] for issuer in document.values())
    in_set = {"published", "retiring", "kept"}
    empty = any(not any(row["verdict"] in in_set for row in issuer["files"]) for issuer in document.values())
    assert done.exit_code == int(bad or empty)
    return document


def rows_of_check(document: Mapping[str, Any]) -> Counter[Row]:
    """List each key's or file's outcome."""
    return Counter(
        (path, one["file"], one["verdict"], one.get("kid", ""), one.get("until", one.get("since", "")), _more(one))
        for path, issuer in document.items()
        for one in issuer["files"]
    )


def rows_of_status(document: Mapping[str, Any]) -> Counter[Row]:
    """Do the same for /status."""
    return Counter(
        (path, one["file"], one["verdict"], kid, one.get("until", one.get("since", "")), _more(one))
        for path, issuer in document["issuers"].items()
        for one in issuer["files"]
        for kid in one["kids"] or [""]
    )


def _more(one: Mapping[str, str]) -> str:
    return one.get("code", "") + one.get("duplicate_of", "")


def of_log(logs: list[dict[str, Any]]) -> Counter[tuple[str, str, str, str]]:
    """List what the log says of each key and file."""
    return Counter(
        (one.get("issuer", "/"), one["file"], one["event"].partition("-")[2], one.get("kid", ""))
        for one in logs
        if one["event"].startswith(("key-", "file-"))
    )


def verify(directory: Path, state: Path, document: Mapping[str, Any]) -> None:
    """Ask verify about a token of each key that has a verdict."""
    found = evaluated(
        Settings(
            directory=directory,
            path=PATH,
            media_type="application/json",
            patterns=("*.pem",),
            passphrase_file=None,
            passphrase=None,
            policy=Policy(retain=RETAIN),
            timing=Timing(),
            state=state,
        )
    )
    codes = {
        "published": "verified",
        "retiring": "verified",
        "kept": "verified",
        "pending": "key-pending",
        "removed": "key-retired",
        "revoked": "key-revoked",
    }
    for path, one in found.items():
        kids = Counter(row["kid"] for row in document[path]["files"] if "kid" in row)
        for verdict in one.issuer.evaluation.verdicts:
            for kid, named in verdict.identities:
                if kids[kid] > 1:
                    continue
                kind, number = PRIVATE[named]
                token = parse(sign(key(kind, number), ALGS[kind], kid))
                (row,) = judge("keys", token, {path: one})
                assert (row.code, row.file) == (codes[verdict.outcome], verdict.file)


def logged_for(document: Mapping[str, Any], told: Mapping[str, Any]) -> Counter[tuple[str, str, str, str]]:
    """Say what the log must tell: a kept file once, and each of its keys by its stage."""
    stages = {(path, key["kid"]): key["stage"] for path, one in told["issuers"].items() for key in one["keys"]}
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for (path, file, outcome, kid, _, _), number in rows_of_check(document).items():
        if outcome == "kept":
            expected[path, file, "kept", ""] = 1
            expected[path, file, stages[path, kid], kid] += number
        else:
            expected[path, file, outcome, kid] += number
    return expected


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DIRECTORIES, DIRECTORIES)
def test_everyone_tells_the_same(
    before: Mapping[str, tuple[dict[str, str], str | None]], now: Mapping[str, tuple[dict[str, str], str | None]]
) -> None:
    """Over any two states of a directory with a restart between, all tell one outcome of each file and key."""
    with tempfile.TemporaryDirectory() as folder, patch("time.time", lambda: NOW):
        directory, state = Path(folder) / "keys", Path(folder) / "state.json"
        write(directory, before)
        serve_once(directory, state)
        write(directory, now)
        checked = check(directory, state)
        verify(directory, state, checked)
        told, logs = serve_once(directory, state)
    assert rows_of_check(checked) == rows_of_status(told)
    assert of_log(logs) == logged_for(checked, told)
    for path, issuer in checked.items():
        findings = [(one["code"], one["subject"]) for one in issuer["findings"]]
        assert [
            (one["code"], one["subject"]) for one in told["issuers"].get(path, {"findings": []})["findings"]
        ] == findings
        logged = [one for one in logs if one["event"] == "finding" and one.get("issuer", "/") == path]
        assert [(one["code"], one["subject"], one["log_level"]) for one in logged] == [
            (code, subject, "warning") for code, subject in findings
        ]
        fault = issuer["fault"]
        faults = [one["code"] for one in told["reload"]["faults"].get(path, [])]
        assert faults == ([fault["code"]] if fault else [])


def test_every_content_is_what_it_says() -> None:
    """The generated files are good where they should be, so that each outcome is reached."""
    good = {name for name, data in CONTENTS.items() if not read_file(name, data, None).error}
    assert good == set(CONTENTS) - {"half", "empty"}
