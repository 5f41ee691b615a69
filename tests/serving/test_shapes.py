"""The shapes of requests: a shape finds nothing that the key would not, and there are few."""

from fields import FIELDS
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.serving.response_cache import key_of
from jwks_server.serving.shapes import Shapes


def request(*fields: bytes) -> bytes:
    """Write a request with fields."""
    return b"\r\n".join((b"GET /.well-known/jwks.json HTTP/1.1", b"Host: a", *fields, b"", b""))


@given(st.lists(FIELDS, max_size=4), st.data())
def test_shape_never_finds_what_the_key_does_not(fields: list[bytes], data: st.DataObject) -> None:
    """A request that looks like a known one, with some bytes changed, gets the reply to its own key or none."""
    known = request(*fields, b"X-Request-ID: 0123456789", b"Accept: text/html", b"Via: abc")
    changed = bytearray(known)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(known) - 1))
        changed[at : at + 1] = data.draw(
            st.one_of(st.sampled_from([b"\r", b"\n", b":", b" ", b"x"]), st.binary(min_size=1, max_size=1))
        )
    other = bytes(changed)
    shapes: Shapes[bytes] = Shapes()
    if key_of(known) != known:  # the others have no shape
        shapes.learn(known, key_of(known))
        assert shapes.find(known) == key_of(known)
    assert shapes.find(other) in {key_of(other), None}


_PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=10, max_size=10)


@given(_PRINTABLE, _PRINTABLE)
def test_values_that_do_not_count_have_one_shape(one: str, other: str) -> None:
    """Printable values of one length are the same to a shape; other bytes, and values that count, are not."""
    shapes: Shapes[int] = Shapes()
    shapes.learn(request(b"Via: " + one.encode(), b"Accept: a"), 1)
    assert shapes.find(request(b"Via: " + other.encode(), b"Accept: a")) == 1
    for bad in (b"\x00", b"\r", b"\n", b"\t", b"\x7f", b"\xff"):
        assert shapes.find(request(b"Via: " + other[1:].encode() + bad, b"Accept: a")) is None
    assert shapes.find(request(b"Via: " + other.encode(), b"Accept: b")) is None
    assert shapes.find(request(b"Vib: " + other.encode(), b"Accept: a")) is None


def test_shapes_stay_few() -> None:
    """A bounded number of shapes is kept for each length, and of bytes; one that comes again and again gets in."""
    shapes: Shapes[int] = Shapes()
    flood = [request(b"X-%04d: 1" % number) for number in range(400)]
    for number, one in enumerate(flood):
        shapes.learn(one, number)
    assert 0 < sum(shapes.find(one) is not None for one in flood) <= 8
    for number in range(2000):
        shapes.learn(request(b"X: " + b"x" * number), number)
    assert sum(shapes.find(request(b"X: " + b"x" * number)) is not None for number in range(2000)) < 1000
    late = request(b"Late: 1")
    for _ in range(16):
        shapes.learn(late, 0)
    assert shapes.find(late) == 0
