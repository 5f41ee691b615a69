"""The page's answers on a running server."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest
from sites import statuses
from status_pages import read
from support import HANG_SECONDS, key, public_pem, raw, serving

from jwks_server.serving.admin import PAGE

_HOSTILE = ("<script>alert(1)<", 'a" onmouseover="alert(1)', "&lt;b&gt;", "a\nb", "\u202eevil")


async def fetch(port: int, path: str) -> tuple[str, aiohttp.ClientResponse]:
    """Ask the admin listener."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as reply:
        return await reply.text(), reply


async def test_fields_of_each_answer(keys: Path) -> None:
    """No answer may be stored, framed, sniffed, or use anything from elsewhere; only GET and HEAD are answered."""
    async with serving(keys) as server:
        for path in PAGE:
            head = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            reply = (await raw(server.admin, head)).decode()
            assert reply.startswith("HTTP/1.1 200 OK\r\n")
            policy = reply.partition("Content-Security-Policy: ")[2].partition("\r\n")[0].split("; ")
            assert policy == [
                "default-src 'none'",
                *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            ]
            for field in (
                "Cache-Control: no-store",
                "X-Content-Type-Options: nosniff",
                "Referrer-Policy: no-referrer",
                "Cross-Origin-Resource-Policy: same-origin",
            ):
                assert f"\r\n{field}\r\n" in reply
            assert "Access-Control" not in reply
            assert "\r\nServer:" not in reply
            post = await raw(server.admin, head.replace(b"HEAD", b"POST"))
            assert statuses(post) == [405]
            rebound = await raw(server.admin, head.replace(b"localhost", b"evil.example"))
            assert statuses(rebound) == [421]
            assert statuses(await raw(server.port, head)) == [404]


async def test_hostile_names(tmp_path: Path) -> None:
    """Folders, files and a policy whose names hold markup are shown as text."""
    for name in _HOSTILE:
        folder = tmp_path / "acme"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.pem").write_bytes(public_pem(key("P-256", len(name))))
        (tmp_path / name).mkdir()
    (tmp_path / os.fsdecode(b"\xff.pem")).write_bytes(b"nonsense")
    (tmp_path / "acme" / "jwks.toml").write_text(
        '[keys."<script>alert(1)<.pem"]\nkid = "<b>kid</b>"\n[keys."<img src=x>"]\nalg = "ES256"\n'
    )
    async with serving(tmp_path) as server:
        html, _ = await fetch(server.admin, "/?q=%3Cscript%3E")
        assert "No issuer has <code>&lt;script&gt;</code>" in html
        html, reply = await fetch(server.admin, "/")
        assert reply.content_type == "text/html"
        page = read(html)
        assert [dict(attributes) for tag, attributes in page.tags if tag == "script"] == [
            {"src": "page.js", "type": "module"}
        ]
        assert {tag for tag, _ in page.tags}.isdisjoint({"b", "img"})
        assert not [name for _, attributes in page.tags for name, _ in attributes if name.startswith("on")]
        for text in ("<script>alert(1)<.pem", "<b>kid</b>", "<img src=x>", "a\\nb", "\\u202eevil"):
            assert text in page.content


async def test_search_and_pages_without_script(tmp_path: Path) -> None:
    """The list is searched and paged by the URL."""
    for number in range(45):
        folder = tmp_path / f"issuer{number:02}"
        folder.mkdir()
        (folder / "a.pem").write_bytes(public_pem(key("P-256")))
    async with serving(tmp_path) as server:
        html, _ = await fetch(server.admin, "/?page=3")
        assert "<code>/issuer44</code>" in html
        assert html.count("<article") == 5
        html, _ = await fetch(server.admin, "/?q=ISSUER4&page=nonsense")
        assert html.count("<article") == 5
        assert "5 of 45 with <code>ISSUER4</code>" in html


@pytest.mark.parametrize("drain", ["0", "60"])
async def test_streams_end_at_once_when_the_server_stops(keys: Path, drain: str) -> None:
    """An open page holds neither the drain nor the shutdown: its stream ends when SIGTERM comes."""
    async with serving(keys, "--drain", drain, "--shutdown-timeout", "60") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.admin)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(HANG_SECONDS):
            await reader.readuntil(b'<div id="issuers"')
            server.process.send_signal(signal.SIGTERM)
            rest = await reader.read()
            assert b"event: stopping\n" in rest
            if drain == "60":
                assert server.process.returncode is None
                server.process.send_signal(signal.SIGTERM)
            assert await server.end() == 0
        writer.close()


async def test_page_before_the_first_set(tmp_path: Path) -> None:
    """Without a directory the page says what is wrong."""
    async with serving(tmp_path / "missing") as server:
        html, _ = await fetch(server.admin, "/")
    assert "not ready" in html
    assert "directory-missing" in html
