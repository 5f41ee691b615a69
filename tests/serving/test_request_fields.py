"""The fields that count: all that a handler reads is on the list, since aiohttp doesn't get the others."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDictProxy
from sites import GET, PATH, site, statuses

from jwks_server.published.catalog import Catalog
from jwks_server.serving import admin, bridge, public, response
from jwks_server.serving.request_fields import READ, mask, relevant
from jwks_server.serving.request_head import _NOTED
from jwks_server.serving.status import Reported
from jwks_server.stats import Reloads

# The parts of aiohttp's request that are not made from its fields.
_NOT_FIELDS = {"headers", "method", "rel_url", "writer"}


class _Recording(Mapping[str, str]):
    """A request's fields, with the names that are read."""

    def __init__(self, fields: CIMultiDictProxy[str], read: set[str]) -> None:
        self._fields, self._read = fields, read

    def _note(self, name: str) -> str:
        self._read.add(name.lower())
        return name

    def __getitem__(self, name: str) -> str:
        return self._fields[self._note(name)]

    def __contains__(self, name: object) -> bool:
        return self._note(str(name)) in self._fields

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("a handler that goes through all fields reads those that are not on the list")

    def __len__(self) -> int:
        raise AssertionError("a handler that counts the fields counts those that are not on the list")

    def getall(self, name: str, *default: Any) -> Any:
        """Read every field of a name."""
        return self._fields.getall(self._note(name), *default)

    def getone(self, name: str, *default: Any) -> Any:
        """Read the first field of a name."""
        return self._fields.getone(self._note(name), *default)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collect the names of the fields that handlers, and aiohttp's own code, read of a request."""
    names: set[str] = set()
    monkeypatch.setattr(web.BaseRequest, "headers", property(lambda self: _Recording(self._headers, names)))
    return names


async def say_everything(here: Any, paths: tuple[str, ...]) -> None:
    """Send requests of every method, with fields of many names."""
    fields = b"".join(b"%b: x\r\n" % name for name in (b"Cookie", b"Range", b"Origin", b"Accept", b"User-Agent"))
    for path in paths:
        for method in (b"GET", b"HEAD", b"OPTIONS", b"POST"):
            for one in (b"", b"If-None-Match: *\r\n", b"If-Match: x\r\n", b"Accept-Encoding: gzip\r\n"):
                request = GET.replace(b"GET", method).replace(PATH.encode(), path.encode())
                said = await here.say(request[:-2] + fields + one + b"Connection: close\r\n\r\n")
                assert statuses(said)


async def test_public_application_reads_only_what_is_listed(catalog: Catalog, read: set[str]) -> None:
    """Whatever it is asked, it reads no field that is left out."""
    async with site(catalog, cached=False) as here:
        await say_everything(here, (PATH, "/nothing"))
    assert read >= {"accept-encoding", "if-match", "if-none-match"}
    assert {name.encode() for name in read} <= READ


async def test_admin_application_reads_only_what_is_listed(catalog: Catalog, read: set[str]) -> None:
    """The same for the admin application."""
    async with site(catalog) as public_site:
        app = admin.application(Reported(catalog, Reloads(), public_site.connections), ("a",))
        async with site(catalog, app=app) as here:
            await say_everything(here, (*admin.ENDPOINTS, "/nothing"))
    assert "accept" in read
    assert {name.encode() for name in read} <= READ


async def test_field_that_is_not_listed_is_noticed(catalog: Catalog, read: set[str]) -> None:
    """A handler that reads another field is found out, and would not get it."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("X-Unheard-Of", "nothing"))

    app = web.Application()
    app.router.add_get(PATH, handler)
    async with site(catalog, app=app) as here:
        said = await here.say(GET[:-2] + b"X-Unheard-Of: secret\r\nConnection: close\r\n\r\n")
    assert said.endswith(b"\r\n\r\nnothing")
    assert not {name.encode() for name in read} <= READ


@pytest.mark.parametrize("module", [public, admin, response, bridge])
def test_handlers_use_nothing_else_that_is_made_from_fields(module: Any) -> None:
    """Of aiohttp's request they use the method, the target and the fields, and not what aiohttp makes from fields."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id.endswith("request")
    }
    assert used <= _NOT_FIELDS


def test_everything_else_is_left_out() -> None:
    """A field is left out, in a head of any size, by its name alone; the mask covers all but its value."""
    head = GET[:-2] + b"Accept:a\r\nX-Long: \xff" + b"x" * 9000 + b"\r\nvia:\r\n\r\n"
    assert relevant(head) == GET[:-2] + b"Accept:a\r\n\r\n"
    hidden = bytes(byte for byte, ones in zip(head, mask(head), strict=True) if not ones)
    assert hidden == b" \xff" + b"x" * 9000
    assert set(mask(head)) == {0, 255}


def test_what_the_connection_reads_is_listed() -> None:
    """Each field that the checks of a request's head name is on the list."""
    names = _NOTED.pattern.partition(b"(")[2].partition(b")")[0].lower().split(b"|")
    assert len(names) > 1
    assert set(names) <= READ
