"""Takes pictures of the status page in both themes at three widths; three of them are in the documentation.

``python -m browser.screenshots`` in ``tests/`` writes them to ``build/screenshots/`` and ``docs/images/``.
"""

import asyncio
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from browser.chromium import SCHEMES, WIDTHS, chromium, looking
from browser.stage import furnish
from PIL import Image
from support import ROOT, raw, serving

BUILD = ROOT / "build" / "screenshots"
DOCUMENTED = {"light-1280": "status-page-light", "dark-1280": "status-page-dark", "light-360": "status-page-telephone"}
DOCS = ROOT / "docs" / "images"
MAX_BYTES = 150_000
_TALL = {360: 2050, 768: 1300, 1280: 1180}
_FOUND = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
_NOT_FOUND = _FOUND.replace(b"jwks.json", b"nothing")


def _age(state: Path) -> None:
    """Let the keys have been published for a while: some for weeks, the newest for ten minutes."""
    document = json.loads(state.read_text())
    for entries in document["issuers"].values():
        for age, entry in zip((40 * 86400, 12 * 86400, 600), entries, strict=False):
            entry["first_published"] -= age
    state.write_text(json.dumps(document))


async def main() -> None:
    """Take the pictures."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    DOCS.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        keys, state = Path(folder, "keys"), Path(folder, "state.json")
        flags = ("--retain", "90000", "--state", str(state))
        furnish(keys)
        async with serving(keys, *flags):
            pass
        _age(state)
        async with serving(keys, *flags) as server, chromium() as browser:
            (keys / "2026-09.pem").unlink()
            await server.log("key-retiring")
            await raw(server.port, *[_FOUND] * 40, *[_NOT_FOUND] * 3, _FOUND[:-2] + b"Connection: close\r\n\r\n")
            for scheme in SCHEMES:
                for width in WIDTHS:
                    async with looking(browser, server, width=width, scheme=scheme) as window:
                        await window.page.set_viewport_size({"width": width, "height": _TALL[width]})
                        picture = BUILD / f"{scheme}-{width}.png"
                        await window.page.screenshot(path=picture)
                        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size} bytes")  # noqa: T201
    for name, documented in DOCUMENTED.items():
        small = DOCS / f"{documented}.png"
        with Image.open(BUILD / f"{name}.png") as shot:
            shot.convert("RGB").quantize(128).save(small, optimize=True)
        print(f"{small.relative_to(ROOT)}: {small.stat().st_size} bytes")  # noqa: T201
        if small.stat().st_size >= MAX_BYTES:
            raise SystemExit(f"{small.name} has {MAX_BYTES} bytes or more; show less of the page.")


asyncio.run(main())
