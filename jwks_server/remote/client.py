"""A client that fetches a JWK Set from a URL and trusts nothing of the reply."""

import asyncio
import json
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from yarl import URL

from jwks_server import __version__
from jwks_server.errors import ConfigError, FetchFailed
from jwks_server.text import reason
from jwks_server.threads import in_thread

_MAX_BYTES = 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_HEADERS = {"User-Agent": f"jwks-server/{__version__}", "Accept-Encoding": "identity"}
_OK = 200
_NOT_MODIFIED = 304
# RFC 9111 section 5.2.2: shared caches use s-maxage, all others max-age.
_MAX_AGE = re.compile(r"(?:^|[\s,])(?:s-maxage|max-age)\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a URL serves.

    Attributes:
        url: The URL that was requested.
        body: The bytes, without a content coding.
        etag: The entity tag as in the header, if there is one.
        age: How long a cache has kept it, in seconds; None without an Age header (RFC 9111 section 5.1).
        max_age: How long it may be kept, in seconds; 0 without a Cache-Control header.
    """

    url: str
    body: bytes
    etag: str | None
    age: int | None
    max_age: int

    def document(self) -> Mapping[str, Any]:
        """Read the body as a JSON object.

        Raises:
            FetchFailed: It isn't one.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise FetchFailed(f"{self.url} doesn't answer with JSON; check the URL.") from exc
        if not isinstance(document, dict):
            raise FetchFailed(f"{self.url} doesn't answer with a JSON object; check the URL.")
        return document

    def keys(self) -> Sequence[Mapping[str, Any]]:
        """Read the body as a JWK Set (RFC 7517 section 5).

        Raises:
            FetchFailed: It isn't one.
        """
        keys = self.document().get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise FetchFailed(f"{self.url} doesn't answer with a JWK Set; check the URL.")
        return keys


def parse_url(text: str) -> URL:
    """Read an http or https URL.

    Raises:
        ConfigError: The text is not such a URL, or holds a password, which would end up in logs.
    """
    try:
        url = URL(text)
        usable = url.scheme in {"http", "https"} and url.host and url.user is None and url.password is None
        zoned = ":" in (url.host or "") and "%" in (url.host or "")
    except ValueError:
        usable = zoned = False
    if zoned:
        shown = text.rpartition("@")[2]
        raise ConfigError(f"{shown} has an IPv6 zone, which some clients can't read; give a name, or another address.")
    if not usable:
        shown = text.rpartition("@")[2]  # the part before it may be a password
        raise ConfigError(
            f"{shown} is not an http or https URL without a user; write, for example, https://id.example.com."
        )
    return url


def get(url: str) -> Answer:
    """Fetch a URL once.

    Raises:
        ConfigError: It is not a URL.
        FetchFailed: It can't be reached, redirects, or doesn't answer with 200.
    """

    async def once() -> Answer:
        async with session() as client:
            return await fetch(client, parse_url(url))

    return asyncio.run(once())


def session(address: str | None = None) -> aiohttp.ClientSession:
    """Open a client session.

    Args:
        address: The only address to connect to, whatever the URL's host resolves to. The Host header and the
            certificate are still those of the host.
    """
    resolver = _Fixed(address) if address else None
    # A connection that is kept open would stay with one replica behind an address.
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, headers=_HEADERS)


async def fetch(client: aiohttp.ClientSession, url: URL, known: Answer | None = None) -> Answer:
    """Fetch a URL. If the known answer is still current, the new one has the same body.

    Raises:
        FetchFailed: It can't be reached, redirects, or doesn't answer with 200.
    """
    try:
        conditions = {"If-None-Match": known.etag} if known and known.etag else {}
        async with client.get(url, headers=conditions, allow_redirects=False) as reply:
            if known and conditions and reply.status == _NOT_MODIFIED:
                return _confirmed(known, reply.headers)
            if reply.status != _OK:
                raise FetchFailed(f"{url} answered {reply.status}; many clients accept only 200.")
            body = b""
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise FetchFailed(f"{url} answered with more than 1 MiB; check the URL.")
            return Answer(
                url=str(url),
                body=body,
                etag=reply.headers.get("ETag"),
                age=_age(reply.headers.get("Age", "")),
                max_age=_max_age(reply.headers.getall("Cache-Control", [])),
            )
    except TimeoutError as exc:
        raise FetchFailed(f"{url} didn't answer in {_TIMEOUT.total:g} s; check that it can be reached.") from exc
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        raise FetchFailed(f"{url} can't be fetched: {_why(exc)}; check that it can be reached.") from exc


async def resolve(url: URL) -> frozenset[str]:
    """Find all addresses, IPv4 and IPv6, behind a URL's host.

    Raises:
        FetchFailed: The host has none.
    """
    try:
        # Not in the event loop's own threads: the program would wait for a hanging lookup when it ends.
        async with asyncio.timeout(_TIMEOUT.total):
            found = await in_thread(lambda: socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM))
    except TimeoutError as exc:
        raise FetchFailed(f"{url.host} didn't resolve in {_TIMEOUT.total:g} s; check the resolver.") from exc
    except (OSError, UnicodeError) as exc:
        raise FetchFailed(f"{url.host} doesn't resolve: {_why(exc)}; check the name.") from exc
    return frozenset(str(address[0]) for *_, address in found)


def _why(exc: Exception) -> str:
    """Describe what aiohttp raises: in the system's words if it comes from there, without the URL."""
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        cause = exc.certificate_error
    if isinstance(cause, socket.gaierror):  # its numbers are not the system's
        text = str(cause.strerror)
    else:
        text = reason(cause) if isinstance(cause, OSError) else str(cause)
    return " ".join(text.split()) or type(exc).__name__


def _confirmed(known: Answer, headers: CIMultiDictProxy[str]) -> Answer:
    """Update the known answer from the headers of a 304 (RFC 9111 section 4.3.4)."""
    lines = headers.getall("Cache-Control", [])
    return replace(
        known,
        age=_age(headers.get("Age", "")),
        max_age=_max_age(lines) if lines else known.max_age,
    )


class _Fixed(AbstractResolver):
    """Resolves every host to one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=socket.AF_INET6 if ":" in self._address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _age(text: str) -> int | None:
    return int(text) if _DIGITS.fullmatch(text) else None


def _max_age(lines: Sequence[str]) -> int:
    return max((int(found) for found in _MAX_AGE.findall(",".join(lines))), default=0)
