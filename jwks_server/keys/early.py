"""Whether whatever is signed now is signed too early: no published key has been seen by every verifier."""

from collections.abc import Iterator

from jwks_server.keys.keyset import Key, KeySet


def too_early_until(before: KeySet | None, after: KeySet | None, known: float | None, now: float) -> float | None:
    """Return when the first key of an issuer will be safe to sign with, if its keys were replaced without a pause.

    A new issuer's first keys don't count: nobody signs yet. Nor do those that a server finds when it starts.

    Args:
        before: What was served before; None if nothing was, or nothing is known of it.
        after: What is served now.
        known: What this function said of what was served before.
        now: In seconds since the epoch.

    Returns:
        The time in seconds since the epoch; None if a key is safe to sign with, or nothing was replaced.
    """
    if before is after:
        return known if known is not None and known > now else None
    signing = list(_signing(after))
    until = min((key.safe_to_sign_at or 0.0 for key in signing), default=0.0)
    if until <= now:
        return None
    earlier = list(_signing(before))
    one_was_safe = any((key.safe_to_sign_at or 0.0) <= now for key in earlier)
    all_are_new = bool(earlier) and not {key.identity for key in earlier} & {key.identity for key in signing}
    return until if known is not None or one_was_safe or all_are_new else None


def _signing(keyset: KeySet | None) -> Iterator[Key]:
    """List the published keys for signatures. A retiring key only verifies."""
    return (key for key in (keyset.keys if keyset else ()) if key.state == "published" and key.use == "sig")
