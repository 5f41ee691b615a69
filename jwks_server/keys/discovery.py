"""A key set -> what OpenID Connect Discovery 1.0 and RFC 8414 publish about its issuer."""

import json

from jwks_server.keys.keyset import KeySet
from jwks_server.keys.metadata import ALGORITHMS


def document(keyset: KeySet, path: str) -> bytes | None:
    """Write the metadata document; one serves both standards, since their members are in one registry.

    ``jwks_uri`` is the URL that a client must use: ``path`` below the issuer's URL, wherever a proxy put this server.

    Args:
        keyset: The published keys, and the policy that names the issuer.
        path: The JWK Set's path below the issuer.

    Returns:
        Compact UTF-8 JSON, the same bytes for the same keys and policy; None if the policy names no issuer.
    """
    policy = keyset.policy
    if policy.issuer is None:
        return None
    algorithms = list(dict.fromkeys(key.alg for key in keyset.keys if key.use == "sig"))
    members = {
        "issuer": policy.issuer,
        "jwks_uri": policy.issuer.removesuffix("/") + path,
        **({ALGORITHMS: algorithms} if algorithms else {}),  # RFC 8414 section 3.2: no empty lists
        **policy.metadata,
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
