"""The access log: one line for each answer, from the response cache too."""

import re
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog

from jwks_server.options.settings import UNIX, Proxies
from jwks_server.stats import ServedBy

_MAX_TARGET, _MAX_AGENT = 1024, 256
# The most addresses that are followed: no real chain of proxies is longer.
_MAX_HOPS = 32
_AGENT = re.compile(rb"\r\nuser-agent:[ \t]*([^\r\n]*)", re.IGNORECASE)
_FORWARDED_FOR = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)", re.IGNORECASE)
_FORWARDED = re.compile(rb"\r\nforwarded:([^\r\n]*)", re.IGNORECASE)
# RFC 7239 section 4; an element that is written otherwise ends the chain.
_FOR = re.compile(r"(?:^|;)[ \t]*for=([^;]*)", re.IGNORECASE)
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+")

_log = structlog.get_logger(__name__)


class AccessLog:
    """Logs answers.

    Args:
        trusted: The proxies that are believed about a client's address.
    """

    def __init__(self, trusted: Proxies = ()) -> None:
        self._networks = [one for one in trusted if one != UNIX]
        self._unix = UNIX in trusted

    def log(  # noqa: PLR0913, PLR0917 - the facts of an answer
        self, remote: str, request: bytes, status: int, size: int, served_by: ServedBy, began: float
    ) -> None:
        """Log an answer.

        Args:
            remote: The address of the other end of the connection; empty for a unix socket.
            request: The request's head; empty if the data was not a request.
            status: The status code.
            size: The size of the reply in bytes.
            served_by: ``cache`` or ``application``.
            began: When the last of the request arrived, by ``time.perf_counter``; 0 where nothing did.
        """
        duration = round(time.perf_counter() - began, 6) if began else 0.0
        method, _, rest = request.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        agent = _AGENT.search(request)
        _log.info(
            "request",
            remote=remote,
            client=self._client(remote, request),
            method=method,
            target=_bounded(rest.rpartition(" ")[0], _MAX_TARGET),
            status=status,
            bytes=size,
            duration=duration,
            user_agent=_bounded(agent[1].decode("latin-1"), _MAX_AGENT) if agent else "",
            served_by=served_by,
        )

    def _client(self, remote: str, request: bytes) -> str:
        """Follow the addresses from the nearest proxy on, for as long as those that name them are trusted."""
        if not (self._networks or self._unix) or not self._trusts(_address(remote) if remote else None):
            return remote
        client = remote
        for text in _hops(request):
            address = _address(text)
            if address is None:
                break
            client = str(address)
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return self._unix if address is None else any(address in network for network in self._networks)


def _hops(request: bytes) -> Iterator[str]:
    """List the addresses that proxies have noted, the last one first.

    Each proxy appends, so a client may have made up the first ones.
    """
    if lines := _FORWARDED_FOR.findall(request):
        yield from _from_the_right(lines)
        return
    for element in _from_the_right(_FORWARDED.findall(request)):
        found = _FOR.search(element)
        yield found[1] if found else ""


def _from_the_right(lines: Sequence[bytes]) -> Sequence[str]:
    return b",".join(lines).decode("latin-1").split(",")[: -_MAX_HOPS - 1 : -1]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with its port or without; None if it is something else."""
    text = text.strip(' \t"')
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    if "%" in text:  # a zone may be any text
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
