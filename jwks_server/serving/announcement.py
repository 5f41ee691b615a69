"""The last event of a start: where the keys are served."""

from collections.abc import Iterator, Sequence

import structlog

from jwks_server.published.catalog import ROOT, Edition
from jwks_server.serving.listeners import Listener

# The issuers whose addresses are named; there may be a thousand.
_NAMED = 3

_log = structlog.get_logger(__name__)


def announce(
    edition: Edition, listeners: Sequence[Listener], admin: Sequence[Listener], path: str, *, tls: bool
) -> None:
    """Log where the keys are served.

    Args:
        edition: What is served.
        listeners: The public addresses, which are open.
        admin: The admin listener's.
        path: Where the JWK Set is served, below each issuer's path.
        tls: Whether the public addresses have TLS.
    """
    issuers = sorted({*edition.entries, *edition.awaited}) or [ROOT]
    urls = [url for issuer in issuers[:_NAMED] for url in _urls(listeners, issuer.rstrip("/") + path, tls=tls)]
    _log.info(
        "serving",
        keys=sum(len(entry.keyset.keys) for entry in edition.entries.values()),
        issuers=len(issuers),
        urls=urls,
        more=len(issuers) - len(issuers[:_NAMED]),
        status_page=next(_urls(admin, "/", tls=False), None),
    )


def _urls(listeners: Sequence[Listener], path: str, *, tls: bool) -> Iterator[str]:
    """Write a path's URL at each address; that of a unix socket as nginx has it."""
    scheme = "https" if tls else "http"
    for name in (name for one in listeners for name in one.names):
        yield f"{scheme}://{name}{':' if name.startswith('unix:') else ''}{path}"
