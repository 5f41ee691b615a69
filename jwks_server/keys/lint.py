"""An evaluation -> what is allowed, but will likely hurt someone.

No finding says that ``use`` is missing where keys for signatures and for encryption are mixed: every published key
has a ``use``.
"""

from collections.abc import Collection, Iterable, Iterator

from jwks_server.keys.evaluation import Evaluation, Finding
from jwks_server.keys.keyset import KeyFile, KeySet
from jwks_server.keys.table import FILE_NAME
from jwks_server.keys.unmatched import MAX_SUGGESTIONS, nearest

CODES = (
    "empty-set",
    "many-keys",
    "large-body",
    "no-rsa",
    "certificate-expired",
    "certificate-expiring",
    "private-key-exposed",
    "subpath-mount",
    "policy-entry-unmatched",
    "revocation-lapsed",
    "clock-skew",
)
# The subject of a finding that is about the whole set.
OF_THE_SET = "set"
MAX_KEYS = 10
MAX_BODY_BYTES = 45 * 1024
EXPIRY_SECONDS = 14 * 86400


def lint(evaluation: Evaluation, mounted: Collection[str], now: float) -> tuple[Finding, ...]:
    """Check an evaluation. A finding doesn't change what is published, so clients needn't wait for this.

    Args:
        evaluation: What was decided.
        mounted: The names in the folder that are mounts of their own; ``.`` is the folder.
        now: In seconds since the epoch.
    """
    if evaluation.decided_at is None:
        return ()
    files = evaluation.files or {}
    served = evaluation.served
    return (
        *(() if served is None else _of_the_set(served)),
        *(() if served is None else _of_certificates(served, now)),
        *_of_files(files.values()),
        *_of_mounts({".", FILE_NAME, *files}.intersection(mounted)),
        *_of_policy(evaluation),
        *(() if served is None else _of_history(served, evaluation)),
    )


def _of_the_set(keyset: KeySet) -> Iterator[Finding]:
    if not keyset.keys:
        yield Finding(
            "empty-set", OF_THE_SET, "The set has no key, so no token verifies; put a key into the directory."
        )
    if len(keyset.keys) > MAX_KEYS:
        yield Finding(
            "many-keys", OF_THE_SET, f"The set has more than {MAX_KEYS} keys; remove those that no token needs."
        )
    if sum(len(key.json) + 1 for key in keyset.keys) > MAX_BODY_BYTES:
        yield Finding(
            "large-body", OF_THE_SET, "The set is over 45 KiB, and clients stop reading at 50 KiB; remove keys."
        )
    if keyset.keys and not any(key.public.kind.kty == "RSA" and key.use == "sig" for key in keyset.keys):
        yield Finding(
            "no-rsa", OF_THE_SET, "No key has an RSA alg, which OpenID Connect clients expect unless told otherwise."
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
                "Every user may read this private key; run chmod o= on the file.",
            )


def _of_mounts(mounted: Iterable[str]) -> Iterator[Finding]:
    for name in sorted(mounted):
        yield Finding("subpath-mount", name, "Kubernetes never updates a subPath mount; mount the whole volume.")


def _of_policy(evaluation: Evaluation) -> Iterator[Finding]:
    entries = [
        *(("revoked", name, evaluation.exist.keys, "no key") for name in sorted(evaluation.unmatched.keys)),
        *(("keys", name, evaluation.exist.files, "no file") for name in sorted(evaluation.unmatched.files)),
    ]
    for number, (table, name, candidates, nothing) in enumerate(entries):
        meant = nearest(name, candidates) if number < MAX_SUGGESTIONS else None
        entry = f'[keys."{name}"]' if table == "keys" else f'revoked "{name}"'
        way_out = f'did you mean "{meant}"?' if meant else "correct it, or remove it."
        if table == "revoked" and name in evaluation.exist.files:
            way_out = f'that is a file; write the kid that jwks-server check shows of "{name}".'
        yield Finding("policy-entry-unmatched", name, f"{FILE_NAME}: {entry} matches {nothing}; {way_out}")


def _of_history(keyset: KeySet, evaluation: Evaluation) -> Iterator[Finding]:
    for key in keyset.keys if evaluation.lapsed or evaluation.skewed else ():
        if key.public.thumbprint in evaluation.lapsed:
            yield Finding(
                "revocation-lapsed",
                key.kid,
                f"The key was revoked and is published again, since {FILE_NAME} does not revoke it any more; "
                "if that was not meant, write it there again.",
            )
        if key.public.thumbprint in evaluation.skewed:
            yield Finding(
                "clock-skew",
                key.kid,
                "The state says that the key was first published in the future, so its time begins again now; "
                "check the clocks of the machines.",
            )
