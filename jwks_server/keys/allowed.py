"""A key, its file and the policy -> the key's use and alg, or why it may not be published."""

from jwks_server.errors import AlgMismatch, KeyFileError, KindNotAllowed, KindUnsupported
from jwks_server.keys import jwk
from jwks_server.keys.keyset import KeyFile
from jwks_server.keys.kinds import Use
from jwks_server.keys.policy import KeyPolicy, Policy

_ALG_SHOWN = 20


def refusal(file: KeyFile, policy: Policy) -> KeyFileError | None:
    """Check a file's keys against the policy; return why they are refused."""
    said = policy.of(file.name)
    for key in file.keys:
        kind = key.kind
        if kind.optional and kind.name not in policy.allow:
            return KindNotAllowed(
                f"Some clients reject the whole set for one {kind.name} key; "
                f"if all of yours can read it, start with --allow {kind.name}."
            )
        if not policy.allows(kind):
            return KindUnsupported(f"Some clients reject the whole set for one {kind.name} key; remove the file.")
        use, alg = use_of(key, said), alg_of(key, said, policy)
        if alg is None or alg not in (kind.enc if use == "enc" else kind.sig):
            return AlgMismatch(
                f'A key of kind {kind.name} can\'t have use = "{use}"{_shown(alg)}; '
                "fix it in the file if it is a JWK, or set both in jwks.toml."
            )
    return None


def use_of(key: jwk.PublicKey, said: KeyPolicy) -> Use:
    """Return what a key is for: what jwks.toml says, else what its file says."""
    return said.use or key.use or "sig"


def alg_of(key: jwk.PublicKey, said: KeyPolicy, policy: Policy) -> str | None:
    """Return a key's algorithm: what jwks.toml says, else what its file says, else the usual one if it has one."""
    return said.alg or key.alg or jwk.algorithm(key.kind, use_of(key, said), policy.rsa_alg, policy.ed_alg)


def _shown(alg: str | None) -> str:
    """Write an alg; what a JWK calls so can be anything."""
    if alg is None:
        return ""
    return f' and alg = "{alg}"' if len(alg) <= _ALG_SHOWN and alg.isprintable() else " and this alg"
