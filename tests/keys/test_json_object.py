"""JSON files are read strictly, whatever their bytes are."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.errors import JwkMalformed, JwkMissing
from jwks_server.keys import json_object

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.booleans())
def test_an_object(members: dict[str, object], marked: bool) -> None:
    """An object is read as it was written, with or without a byte order mark."""
    data = json.dumps(members).encode()
    assert json_object.read(b"\xef\xbb\xbf" + data if marked else data) == members


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes give an object or a coded error."""
    with suppress(JwkMalformed, JwkMissing):
        assert isinstance(json_object.read(data), dict)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "not an object"),
        (b'"kty"', "not an object"),
        (b"{", "not JSON at line 1"),
        (b'{"a": 1,\n"b": }', "not JSON at line 2"),
        (b'{"a": NaN}', "a number that is not JSON"),
        (b'{"a": -Infinity}', "a number that is not JSON"),
        (b'{"a": 1%b}' % (b"0" * 5000), "not JSON"),
        (b'{"\xff": 1}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": {"b": 1, "b": 1}}', "a member twice"),
        (b'{"a": 1, "\\u0061": 2}', "a member twice"),
        (b'{"a": ' + b"[" * 16 + b"]" * 16 + b"}", "levels"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    """What is not one plain JSON object is refused, with a reason that doesn't repeat the file."""
    with pytest.raises(JwkMalformed, match=reason):
        json_object.read(data)


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_empty(data: bytes) -> None:
    """An empty file has a code of its own: it may be about to be written."""
    with pytest.raises(JwkMissing):
        json_object.read(data)


@given(st.binary(min_size=1))
def test_base64url(data: bytes) -> None:
    """Bytes have one text, and no other one is accepted."""
    written = base64.urlsafe_b64encode(data).decode()
    assert json_object.base64url({"x": written.rstrip("=")}, "x") == data
    for other in {written + "=", written.rstrip("=") + "\n", " " + written.rstrip("="), written.rstrip("=") + "+"}:
        with pytest.raises(JwkMalformed):
            json_object.base64url({"x": other}, "x")


@pytest.mark.parametrize("value", ["AB", "A", "", "\ud800", None, 1, ["AA"], True])
def test_not_base64url(value: object) -> None:
    """Bits that no byte has, and other types, are refused."""
    with pytest.raises(JwkMalformed):
        json_object.base64url({"x": value}, "x")
    with pytest.raises(JwkMalformed):
        json_object.base64url({}, "x")
