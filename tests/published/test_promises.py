"""What is chosen where two codings are equally good."""

from jwks_server.published.negotiation import choose
from jwks_server.published.representation import Variant


def coded(coding: str, body: bytes) -> Variant:
    """Make a variant of so many bytes."""
    return Variant(coding, body, '"tag"', {}, {})


def test_coding_that_saves_nothing_is_not_used() -> None:
    """A coding whose bytes are as many as the plain ones is not used, though it is asked for: it saves nothing."""
    plain, gzip, br = coded("identity", b"1234"), coded("gzip", b"abcd"), coded("br", b"wxyz")
    for asked in (["gzip"], ["br"], ["gzip, br"], ["*"], ["gzip;q=1, identity;q=0.5"]):
        assert choose((plain, gzip, br), asked) is plain


def test_codings_of_equal_size() -> None:
    """Of two codings of equal size the first is used, whatever their order in the request."""
    plain, gzip, br = coded("identity", b"12345"), coded("gzip", b"abcd"), coded("br", b"wxyz")
    for asked in (["gzip, br"], ["br, gzip"], ["br", "gzip"]):
        assert choose((plain, gzip, br), asked) is gzip
