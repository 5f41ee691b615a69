"""Debian's Chromium, which looks at the status page."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright
from support import HANG_SECONDS, ROOT, Running

Scheme = Literal["light", "dark"]

AXE = ROOT / "tests" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (360, 768, 1280)
SCHEMES: Sequence[Scheme] = ("light", "dark")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
)
_NOTE_VIOLATIONS = """
    globalThis.violations = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


class Window(SimpleNamespace):
    """A page in a browser, and what went wrong in it."""

    page: Page
    errors: list[str]

    async def clean(self) -> None:
        """Check that nothing went wrong: no error on the console, no dialog, nothing that the policy forbids."""
        assert self.errors == []
        assert await self.page.evaluate("globalThis.violations") == []


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Chromium; without it the test is skipped."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(server: Running, **options: Any) -> AsyncIterator[Window]:
    """Run a browser, and open the status page."""
    async with chromium() as browser, looking(browser, server, **options) as window:
        yield window


@asynccontextmanager
async def looking(
    browser: Browser, server: Running, *, width: int = 1280, scheme: Scheme = "light", **options: Any
) -> AsyncIterator[Window]:
    """Open the status page, and wait until it is live."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB", **options
    )
    context.set_default_timeout(1000 * HANG_SECONDS)
    await context.add_init_script(_NOTE_VIOLATIONS)
    page = await context.new_page()
    errors: list[str] = []

    async def refuse(dialog: Any) -> None:
        errors.append(f"dialog {dialog.message}")
        await dialog.dismiss()

    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url) if "/events" not in request.url else None)
    page.on("dialog", refuse)
    await page.goto(f"http://127.0.0.1:{server.admin}/")
    if options.get("java_script_enabled", True):
        await page.wait_for_selector("#live.on")
    yield Window(page=page, errors=errors)
    await context.close()


async def axe(page: Page) -> list[str]:
    """Check a page's accessibility; return what axe-core finds."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; make browser does that")
    await page.evaluate(Path(AXE).read_text())
    found = await page.evaluate("axe.run()")
    return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]
