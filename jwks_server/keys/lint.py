"""A key set -> what is allowed, but will likely hurt someone.

That ``use`` is missing where keys for signatures and for encryption are mixed can't happen here: every key
says its use.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jwks_server.keys.keyset import KeyFile, KeySet

CODES = (
    "empty-set",
    "many-keys",
    "large-body",
    "no-rsa",
    "certificate-expired",
    "certificate-expiring",
    "private-key-exposed",
    "subpath-mount",
)
MAX_KEYS = 10
MAX_BODY_BYTES = 45 * 1024
EXPIRY_SECONDS = 14 * 86400


@dataclass(frozen=True, slots=True)
class Finding:
    """A code that is stable, what it is about, and one sentence."""

    code: str
    subject: str
    reason: str


def lint(keyset: KeySet, files: Iterable[KeyFile], mounted: Iterable[str], now: float) -> tuple[Finding, ...]:
    """Look a set over.

    Args:
        keyset: What is published.
        files: What it was built from.
        mounted: The names in the directory that are mounts of their own; ``.`` is the directory.
        now: In seconds since the epoch.
    """
    return (*_of_the_set(keyset), *_of_certificates(keyset, now), *_of_files(files), *_of_mounts(mounted))


def _of_the_set(keyset: KeySet) -> Iterator[Finding]:
    if not keyset.keys:
        yield Finding("empty-set", "set", "The set has no key, so no token verifies; put a key into the directory.")
    if len(keyset.keys) > MAX_KEYS:
        yield Finding("many-keys", "set", f"The set has more than {MAX_KEYS} keys; remove those that no token needs.")
    if sum(len(key.json) + 1 for key in keyset.keys) > MAX_BODY_BYTES:
        yield Finding("large-body", "set", "The set is over 45 KiB, and clients stop reading at 50 KiB; remove keys.")
    if keyset.keys and not any(key.public.kind.kty == "RSA" and key.use == "sig" for key in keyset.keys):
        yield Finding(
            "no-rsa", "set", "No key has an RSA alg, which OpenID Connect clients expect unless told otherwise."
        )


def _of_certificates(keyset: KeySet, now: float) -> Iterator[Finding]:
    for key in keyset.keys:
        if key.public.not_after is None:
            continue
        if key.public.not_after <= now:
            yield Finding("certificate-expired", key.file, "The certificate has expired; renew it, or remove the key.")
        elif key.public.not_after <= now + EXPIRY_SECONDS:
            yield Finding("certificate-expiring", key.file, "The certificate expires within 14 days; renew it.")


def _of_files(files: Iterable[KeyFile]) -> Iterator[Finding]:
    for file in files:
        if file.world_readable and any(key.private for key in file.keys):
            yield Finding(
                "private-key-exposed",
                file.name,
                "Every user may read this private key; take the mode's last bits away.",
            )


def _of_mounts(mounted: Iterable[str]) -> Iterator[Finding]:
    for name in sorted(mounted):
        yield Finding("subpath-mount", name, "Kubernetes never updates a subPath mount; mount the whole volume.")
