"""The last event of a start names the addresses that clients can use."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sites import PATH
from structlog.testing import capture_logs
from support import key, public_pem, serving, tls_flags

from jwks_server.address import Address, AnyAddress
from jwks_server.options.settings import Listening
from jwks_server.published.catalog import Edition, Entry
from jwks_server.serving.announcement import announce
from jwks_server.serving.site import taken

HOW = Listening(public=())
LOCAL = Address("127.0.0.1", 0)


def announced(
    edition: Edition, addresses: Iterable[AnyAddress] = (LOCAL,), admin: Iterable[AnyAddress] = ()
) -> Mapping[str, Any]:
    """Announce addresses that are taken; ports are left out of what is logged, since the kernel chooses them."""
    with (
        taken(tuple(addresses), HOW, name="public") as listeners,
        taken(tuple(admin), HOW, name="admin") as admin_listeners,
        capture_logs() as lines,
    ):
        announce(edition, listeners, admin_listeners, PATH, tls=False)
        (line,) = lines
        for one in (*listeners, *admin_listeners):
            for name in one.names:
                host, _, port = name.rpartition(":")
                assert int(port) > 0
                line["urls"] = [url.replace(name, host) for url in line["urls"]]
                line["status_page"] = line["status_page"] and line["status_page"].replace(name, host)
    return line


@pytest.mark.parametrize("others", [0, 2, 3, 1000])
def test_a_few_issuers_are_named(entry: Entry, others: int) -> None:
    """Three issuers at most are named, the key directory's own first, and the others are counted."""
    paths = ["/", *(f"/i{number:04}" for number in range(others))]
    line = announced(Edition(entries=MappingProxyType(dict.fromkeys(paths, entry)), awaited=frozenset()))
    assert line["keys"] == len(entry.keyset.keys) * len(paths)
    assert line["issuers"] == len(paths)
    assert line["urls"] == [f"http://127.0.0.1{path.rstrip('/')}{PATH}" for path in paths[:3]]
    assert line["more"] == len(paths[3:])
    assert line["status_page"] is None


def test_nothing_is_served_yet() -> None:
    """Then there are no keys, and the key directory's own path is named."""
    for edition in (Edition(), Edition(awaited=frozenset())):
        line = announced(edition, admin=[LOCAL])
        assert (line["keys"], line["urls"]) == (0, [f"http://127.0.0.1{PATH}"])
        assert line["status_page"] == "http://127.0.0.1/"


def test_several_addresses(entry: Entry) -> None:
    """Each address of the listener is named, IPv6 in brackets."""
    line = announced(
        Edition(entries=MappingProxyType({"/acme": entry}), awaited=frozenset()), [LOCAL, Address("127.0.0.2", 0)]
    )
    assert line["urls"] == [f"http://127.0.0.{number}/acme{PATH}" for number in (1, 2)]


async def test_tls_and_a_unix_socket(tmp_path: Path) -> None:
    """With TLS it is https, and a unix socket is written as nginx has it; the ports are the real ones."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pem").write_bytes(public_pem(key("RSA")))
    flags = (*tls_flags(tmp_path / "tls"), "--bind", f"unix:{tmp_path}/a.sock")
    async with serving(tmp_path / "keys", *flags) as server:
        line = await server.log("serving", keys=1, issuers=1, more=0)
        assert line["urls"] == [f"https://127.0.0.1:{server.port}{PATH}", f"https://unix:{tmp_path}/a.sock:{PATH}"]
        assert line["status_page"] == f"http://127.0.0.1:{server.admin}/"
