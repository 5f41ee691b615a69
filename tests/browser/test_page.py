"""The status page in a real browser."""

import asyncio
from pathlib import Path

import pytest
from browser.chromium import SCHEMES, WIDTHS, Scheme, axe, chromium, looking, opened
from browser.stage import furnish, misname
from support import key, public_pem, serving

from jwks_server.serving.page.moments import place, relative
from jwks_server.serving.page.outline import PAGE_ISSUERS

pytestmark = pytest.mark.browser


async def test_a_rotation_is_watched(tmp_path: Path) -> None:
    """A new key is published, becomes safe to sign with, the old one retires and is gone, without a reload."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "old.pem").write_bytes(public_pem(key("RSA")))
    flags = ("--max-age", "1", "--propagation", "2", "--retain", "3")
    async with serving(keys, *flags) as server, opened(server) as window:
        page = window.page
        await page.evaluate("globalThis.kept = true")
        old, new = (page.locator(".keys tbody tr", has_text=name) for name in ("old.pem", "new.pem"))
        await old.locator(".badge.safe").wait_for()
        (keys / "new.pem").write_bytes(public_pem(key("RSA", 1)))
        await new.locator(".badge.published").wait_for()
        counted = await new.locator("time").first.text_content()
        await new.locator(f"time:not(:text-is('{counted}'))").first.wait_for()
        await new.locator(".badge.safe").wait_for()
        (keys / "old.pem").unlink()
        await old.locator(".badge.retiring").wait_for()
        assert await old.locator("rect.retiring").count() == 1
        await old.wait_for(state="detached")
        assert await page.evaluate("globalThis.kept") is True
        await window.clean()


async def test_what_the_reader_opened_stays(tmp_path: Path) -> None:
    """An update neither closes the files that were opened nor takes the focus."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server, opened(server) as window:
        page = window.page
        await page.locator("summary").focus()
        await page.keyboard.press("Enter")
        (tmp_path / "b.pem").write_bytes(public_pem(key("RSA", 1)))
        await page.locator(".files tbody tr", has_text="b.pem").wait_for(state="visible")
        assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
        await window.clean()


async def test_traffic_is_live(tmp_path: Path) -> None:
    """Answers are counted while the page is open."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("RSA")))
    async with serving(tmp_path) as server, opened(server) as window:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        await window.page.locator(".rates tr", has_text="404").wait_for()
        writer.close()
        await window.clean()


async def test_the_server_stops(tmp_path: Path) -> None:
    """The page says that it is not live any more, and since when."""
    async with serving(tmp_path) as server, opened(server) as window:
        server.process.terminate()
        await window.page.locator("#live.off", has_text="not live since").wait_for()


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_accessible(tmp_path: Path, scheme: Scheme) -> None:
    """axe-core finds nothing, in both themes, on a telephone and on a desk; nothing scrolls sideways."""
    furnish(tmp_path)
    misname(tmp_path)
    async with serving(tmp_path) as server, chromium() as browser:
        for width in WIDTHS:
            async with looking(browser, server, width=width, scheme=scheme) as window:
                await window.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
                assert await window.page.evaluate("document.documentElement.scrollWidth") <= width
                await window.clean()
                assert await axe(window.page) == []


async def test_themes(tmp_path: Path) -> None:
    """The browser's theme is the page's."""
    async with serving(tmp_path) as server, chromium() as browser:
        grounds = set()
        for scheme in SCHEMES:
            async with looking(browser, server, scheme=scheme) as window:
                grounds.add(await window.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == len(SCHEMES)


async def test_reduced_motion(tmp_path: Path) -> None:
    """Nothing moves for those who ask for that."""
    async with serving(tmp_path) as server:
        async with opened(server, reduced_motion="reduce") as window:
            assert await window.page.evaluate("document.getAnimations().length") == 0
        async with opened(server, reduced_motion="no-preference") as window:
            assert await window.page.evaluate("document.getAnimations().length") == 1


async def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """Markup in the names of folders and files and in kids is shown, and does nothing, live or not."""
    misname(tmp_path)
    async with serving(tmp_path) as server, opened(server) as window:
        assert await window.page.locator("main img, main script").count() == 0
        await window.page.get_by_role("heading", name="/<img src=x onerror=alert(1)>", exact=True).wait_for()
        (tmp_path / "initech" / "<b>.pem").write_bytes(public_pem(key("P-256", 9)))
        await window.page.locator(".keys tbody tr", has_text="<b>.pem").wait_for()
        assert await window.page.locator("main b, main img").count() == 0
        await window.clean()


async def test_without_javascript(tmp_path: Path) -> None:
    """Everything is there without a script, and the search and the pages work."""
    furnish(tmp_path)
    async with serving(tmp_path) as server, opened(server, java_script_enabled=False) as window:
        page = window.page
        assert await page.locator("article").count() == 3
        assert await page.locator(".bar rect").count() > 8
        await page.locator("a", has_text="load again").click()
        await page.get_by_role("searchbox").fill("acme")
        await page.get_by_role("button", name="Search").click()
        assert await page.locator("article").count() == 1
        assert await page.get_by_role("searchbox").input_value() == "acme"


async def test_keyboard(tmp_path: Path) -> None:
    """The Tab key reaches everything that can be used, in the order in which it is shown, and it is seen where."""
    furnish(tmp_path)
    async with serving(tmp_path) as server, opened(server) as window:
        page = window.page
        usable = await page.locator("a[href], summary, input, button").count()
        reached = []
        for _ in range(usable):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate(
                    """() => {
                        const style = getComputedStyle(document.activeElement);
                        const all = [...document.querySelectorAll("a[href], summary, input, button")];
                        return [all.indexOf(document.activeElement), style.outlineStyle, style.outlineWidth];
                    }"""
                )
            )
        assert reached == [[number, "solid", "2px"] for number in range(usable)]
        await page.goto(page.url)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert page.url.endswith("#issuers")


async def test_script_and_server_agree(tmp_path: Path) -> None:
    """The script says the same of a time as the server does."""
    times = [
        sign * seconds for seconds in (0, 0.5, 1, 59.9, 61, 3599, 3661, 90_061, 2_592_000, 1e8) for sign in (-1, 1)
    ]
    async with serving(tmp_path) as server, opened(server) as window:
        told = await window.page.evaluate(
            "async (times) => { const page = await import('/page.js');"
            " return times.map((one) => [page.relative(one, 0), page.place(one, 0)]); }",
            times,
        )
    assert told == [[relative(one, 0), pytest.approx(place(one, 0))] for one in times]


async def test_a_thousand_issuers(tmp_path: Path) -> None:
    """With a thousand issuers a page has a few of them; the first paint is printed."""
    for number in range(1000):
        folder = tmp_path / f"issuer{number:04}"
        folder.mkdir()
        (folder / "a.pem").write_bytes(public_pem(key("RSA", number % 3)))
    async with serving(tmp_path) as server, chromium() as browser:
        paints = []
        for _ in range(4):
            async with looking(browser, server) as window:
                paints.append(await window.page.evaluate("performance.getEntriesByName('first-paint')[0].startTime"))
        print(f"first paint with 1,000 issuers: {', '.join(f'{one:.0f}' for one in paints)} ms")  # noqa: T201
        async with looking(browser, server) as window:
            page = window.page
            assert await page.locator("article").count() == PAGE_ISSUERS
            await page.get_by_role("link", name="Next page").click()
            await page.get_by_role("heading", name=f"/issuer{PAGE_ISSUERS:04}").wait_for()
            assert "page=2" in page.url
            await page.get_by_role("searchbox").fill("0777")
            await page.keyboard.press("Enter")
            await page.get_by_role("heading", name="/issuer0777").wait_for()
            assert await page.locator("article").count() == 1
            await page.wait_for_selector("#live.on")
            (tmp_path / "issuer0777" / "b.pem").write_bytes(public_pem(key("P-256")))
            await page.locator(".keys tbody tr", has_text="b.pem").wait_for()
            await window.clean()
