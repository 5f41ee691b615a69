"""An issuer's key set -> its pages by URL path: the JWK Set, and the discovery documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jwks_server.keys import discovery, metadata
from jwks_server.keys.keyset import KeySet
from jwks_server.published.catalog import ROOT
from jwks_server.published.freshness import freshness
from jwks_server.published.representation import Representation, render

_JSON = "application/json"
_NONE: Mapping[str, Representation] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how the JWK Set of an issuer is served.

    Attributes:
        path: The URL path, below the issuer's own.
        media_type: The Content-Type.
    """

    path: str
    media_type: str = _JSON


def pages(
    issuer: str,
    keyset: KeySet,
    endpoint: Endpoint,
    before: Mapping[str, Representation] = _NONE,
) -> Mapping[str, Representation]:
    """Render all of an issuer's pages.

    The paths are made from the folder's name and not from the issuer's URL: a proxy maps one to the other. OpenID
    Connect appends to the issuer's path (Discovery 1.0 section 4), RFC 8414 section 3.1 inserts before it:
    ``/acme/.well-known/openid-configuration``, ``/.well-known/oauth-authorization-server/acme``.

    Args:
        issuer: The issuer's path: ``/``, or ``/`` and the folder's name.
        keyset: What it publishes.
        endpoint: Where and how its JWK Set is served.
        before: The issuer's last pages; a body that is in them is not encoded again.
    """
    prefix = "" if issuer == ROOT else issuer
    bodies = {prefix + endpoint.path: (keyset.body, endpoint.media_type)}
    if document := discovery.document(keyset, endpoint.path):
        bodies |= dict.fromkeys((prefix + metadata.OPENID, metadata.OAUTH + prefix), (document, _JSON))
    fresh = freshness(keyset)
    return {at: render(body, fresh, kind, before.get(at)) for at, (body, kind) in bodies.items()}
