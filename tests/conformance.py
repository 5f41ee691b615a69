"""REDbot and schemathesis against the running server: ``make conformance``. Exits with 1 where one finds something."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import ROOT, serving

_TOOLS = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(sys.executable).parent
_BAD = {"WARN", "BAD"}


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
    bad = [note for note in found if note["level"] in _BAD]
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
    """Serve the sample keys, and run both."""
    async with serving(ROOT / "sample_keys") as server:
        problems = [await asyncio.to_thread(tool, server.url) for tool in (redbot, schemathesis)]
    return 1 if any(problems) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
