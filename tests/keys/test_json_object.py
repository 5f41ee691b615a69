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
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not JSON at line 1"),
        (b'{"a": 1,\n"b": }', "not JSON at line 2"),
        (b'{"a": NaN}', "a number that is not JSON"),
        (b'{"a": -Infinity}', "a number that is not JSON"),
        (b'{"a": 1%b}' % (b"0" * 5000), "not JSON"),
        (b'{"\xff": 1}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": {"b": 1, "b": 1}}', "a member twice"),
        (b'{"a": 1, "\\u0061": 2}', "a member twice"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    """What is not one plain JSON object is refused, with a reason that doesn't repeat the file."""
    with pytest.raises(JwkMalformed, match=reason):
        json_object.read(data)


@pytest.mark.parametrize("data", [b"[]", b'"kty"', b"7"])
def test_other_json(data: bytes) -> None:
    """JSON that is no object has a code of its own: it is no damaged key, but no key at all."""
    with pytest.raises(JwkMissing, match="not an object"):
        json_object.read(data)


def test_depth() -> None:
    """An object has at most 16 levels, itself included."""
    json_object.insist_on_depth({"a": json.loads("[" * 15 + "]" * 15)})
    with pytest.raises(JwkMalformed, match="levels"):
        json_object.insist_on_depth({"a": json.loads("[" * 16 + "]" * 16)})


@given(st.dictionaries(st.sampled_from(("a", "b", "keys", '"keys":')), VALUES, max_size=4), st.data())
def test_a_member_of_what_is_cut_short(members: dict[str, object], data: st.DataObject) -> None:
    """A member is found wherever the text ends after its colon, and only in the outermost object."""
    text = json.dumps({**members, "c": members}, ensure_ascii=False).encode()
    assert json_object.begins_with_member(text, ("keys",)) is ("keys" in members)
    beginning = text[: data.draw(st.integers(0, len(text)))]
    found = json_object.begins_with_member(beginning, ("keys",))
    assert found <= ("keys" in members)
    assert found or not beginning.startswith(b'{"keys":')


@pytest.mark.parametrize(
    "data", [b'{"' + b'a\\"' * 30_000, b"{" + b'"' * 60_000, b'{"a"' + b" " * 60_000, b"[" * 60_000]
)
def test_a_beginning_takes_no_time_that_grows_with_its_square(data: bytes) -> None:
    """Texts without an end are read once."""
    assert not json_object.begins_with_member(data, ("keys",))


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
