"""An issuer's key set -> its pages by URL path: the JWK Set, and the discovery documents."""

from collections.abc import Mapping
from types import MappingProxyType

from jwks_server.catalog import ROOT
from jwks_server.keys import discovery
from jwks_server.keys.keyset import KeySet
from jwks_server.serving.representation import Representation, render

_JSON = "application/json"
_OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
_NONE: Mapping[str, Representation] = MappingProxyType({})


def pages(  # noqa: PLR0913 - the set, where it is served, and how
    issuer: str,
    keyset: KeySet,
    max_age: int,
    *,
    path: str,
    media_type: str,
    before: Mapping[str, Representation] = _NONE,
) -> Mapping[str, Representation]:
    """Finish everything that is served about an issuer.

    The paths follow the folder's name, whatever URL the issuer has outside: a proxy maps one to the other, as it
    does for any server. OpenID Connect appends to the issuer's path (Discovery 1.0 section 4), RFC 8414 section 3.1
    inserts before it: ``/acme/.well-known/openid-configuration``, ``/.well-known/oauth-authorization-server/acme``.

    Args:
        issuer: The issuer's path: ``/``, or ``/`` and the folder's name.
        keyset: What it publishes.
        max_age: How long a cache may keep it, in seconds.
        path: Where the JWK Set is below the issuer's path.
        media_type: The JWK Set's Content-Type.
        before: The issuer's last pages; a body that is in them isn't encoded anew.
    """
    prefix = "" if issuer == ROOT else issuer
    bodies = {prefix + path: (keyset.body, media_type)}
    if document := discovery.document(keyset, path):
        bodies |= dict.fromkeys((prefix + _OPENID, OAUTH + prefix), (document, _JSON))
    return {at: render(body, max_age, kind, before.get(at)) for at, (body, kind) in bodies.items()}
