"""REDbot and schemathesis against the running server: ``make conformance``. Exits with 1 where one finds something."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import ROOT, serving

_TOOLS = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(sys.executable).parent
_BAD = {"WARN", "BAD"}
# "public" lets a cache answer requests that carry Authorization too (RFC 9111 section 3.5).
_MEANT = {"STORE_PUBLIC_UNNECESSARY"}
_ISSUER = """
issuer = "https://id.example.com"
[metadata]
authorization_endpoint = "https://id.example.com/authorize"
token_endpoint = "https://id.example.com/token"
response_types_supported = ["code"]
subject_types_supported = ["public"]
"""


def notes(har: object) -> Iterator[dict[str, Any]]:
    """Find REDbot's notes, wherever they stand in its report."""
    if isinstance(har, dict):
        yield from har.get("_red_messages", ())
        for value in har.values():
            yield from notes(value)
    if isinstance(har, list):
        for value in har:
            yield from notes(value)


def redbot(url: str) -> int:
    """Run REDbot; print and count what it finds bad."""
    done = subprocess.run([_TOOLS / "redbot", "-o", "har", url], check=True, capture_output=True, timeout=120)
    found = list(notes(json.loads(done.stdout)))
    bad = [note for note in found if note["level"] in _BAD and note["note_id"] not in _MEANT]
    for note in bad:
        print(f"REDbot: {note['level']} {note['note_id']}: {note['summary']}")
    print(f"REDbot: {len(found)} notes, {len(bad)} bad")
    return len(bad) + (not found)


def schemathesis(url: str) -> int:
    """Run schemathesis against the shipped description; tell whether it failed."""
    options = ("--url", url.partition("/.well-known")[0], "--max-examples", "200", "--no-color")
    configured = (_TOOLS / "schemathesis", "--config-file", ROOT / "tests" / "schemathesis.toml")
    command = (*configured, "run", ROOT / "docs" / "openapi.yaml", *options)
    return subprocess.run(command, check=False, timeout=300).returncode


async def main() -> int:
    """Serve the sample keys with a discovery document, and run both."""
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys")
        shutil.copytree(ROOT / "sample_keys", keys)
        (keys / "jwks.toml").write_text(_ISSUER)
        async with serving(keys) as server:
            problems = [await asyncio.to_thread(tool, server.url) for tool in (redbot, schemathesis)]
            document = server.url.replace("jwks.json", "openid-configuration")
            problems.append(await asyncio.to_thread(redbot, document))
    return 1 if any(problems) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
