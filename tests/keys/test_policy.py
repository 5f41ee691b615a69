"""``jwks.toml`` -> Policy."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.policy import KeyPolicy, Policy, parse

FULL = b"""
allow = ["Ed448"]
kid = "filename"
rsa_alg = "PS256"
ed_alg = "Ed25519"
x5c = false
max_age = 60
retain = 3600
allow_empty = true
revoked = ["old"]

[keys."2026-11.pem"]
alg = "RS512"
kid = "november"
aliases = ["nov"]
publish_at = 2026-11-24T08:00:00Z
remove_at = 2026-12-24T09:00:00+01:00

[keys."enc.pem"]
use = "enc"
alg = "RSA-OAEP-256"
"""


def test_everything() -> None:
    """Each member of the file ends up in the policy."""
    assert parse(FULL, Policy()) == Policy(
        allow=frozenset({"Ed448"}),
        kid="filename",
        rsa_alg="PS256",
        ed_alg="Ed25519",
        x5c=False,
        max_age=60,
        retain=3600,
        allow_empty=True,
        revoked=frozenset({"old"}),
        files={
            "2026-11.pem": KeyPolicy("RS512", None, "november", ("nov",), 1795507200.0, 1798099200.0),
            "enc.pem": KeyPolicy("RSA-OAEP-256", "enc"),
        },
    )


def test_flags_are_the_defaults() -> None:
    """What the file doesn't say is what the flags say; what it says wins."""
    defaults = Policy(rsa_alg="PS512", max_age=7, retain=8)
    policy = parse(b"max_age = 9\n", defaults)
    assert (policy.rsa_alg, policy.max_age, policy.retain) == ("PS512", 9, 8)
    assert parse(b"", defaults) == defaults


def test_byte_order_mark_and_crlf() -> None:
    """A file from an editor on Windows is read."""
    assert parse(b"\xef\xbb\xbfmax_age = 9\r\n", Policy()).max_age == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_age = 'soon'", "line 1: max_age is not a whole number of seconds"),
        ("max_age = true", "line 1: max_age is not a whole number of seconds"),
        ("retain = -1", "line 1: retain is not a whole number of seconds"),
        ("\n\nretian = 5", "line 3: retian is unknown; known are allow, kid"),
        ("x5c = 1", "line 1: x5c is not true or false"),
        ("allow = ['RSA']", "line 1: allow is not a list of Ed448"),
        ("allow = 'Ed448'", "line 1: allow is not a list of Ed448"),
        ("rsa_alg = 'HS256'", "line 1: rsa_alg is not one of RS256"),
        ("revoked = 'kid'", "line 1: revoked is not a list"),
        ("revoked = ['']", "line 1: revoked is not a list"),
        ("keys = 5", "line 1: keys is not a table"),
        ("[keys]\n'a.pem' = 5", 'keys."a.pem" is not a table'),
        ('x5c = true\n[keys."a.pem"]\nalg = "none"', 'line 3: keys."a.pem".alg is not one of RS256'),
        ("[keys.'a.pem']\n\nuse = 'both'", 'line 3: keys."a.pem".use is not one of sig, enc'),
        ("[keys.b]\nkid='x'\n[keys.a]\nkid=5", "line 4: keys.a.kid is not a string"),
        (
            "[keys.a]\npublish_at = 2026-11-24T08:00:00",
            "line 2: keys.a.publish_at is not a date and time with its offset",
        ),
        ("[keys.a]\npublish_at = 2026-11-24", "line 2: keys.a.publish_at is not a date and time"),
        (
            "[keys.a]\npublish_at = 2026-11-24T08:00:00Z\nremove_at = 2026-11-24T08:00:00Z",
            "line 3: keys.a.remove_at is not after",
        ),
        ("[keys.a]\nalg = 'RSA-OAEP'", 'line 2: keys.a.alg is RSA-OAEP, which is not for use = "sig"'),
        ("[keys.a]\naliases = 'b'", "line 2: keys.a.aliases is not a list"),
        ("[keys.a]\nnot_before = 5", "line 2: keys.a.not_before is unknown; known are alg"),
        ("max_age = 5\nmax_age = 6", "is not TOML: .*at line 2"),
        ("max_age =", "is not TOML: .*line 1"),
        ("max_age = " + "1" * 5000, "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML"),
        ("[keys.a]\nremove_at = 9999-12-31T23:59:59-12:00", "line 2: keys.a.remove_at is not a date and time"),
        ("[keys.a]\npublish_at = 0001-01-01T00:00:00+12:00", "line 2: keys.a.publish_at is not a date and time"),
        ("x" + ".a" * 30000 + " = 1", "a key of more than 32 parts"),
        ("x = {a" + ".a" * 30000 + " = 1}", "a key of more than 32 parts"),
    ],
)
def test_faults_name_line_and_key(text: str, message: str) -> None:
    """Each fault is reported with its line and its key."""
    with pytest.raises(PolicyInvalid, match=message):
        parse(text.encode(), Policy())


def test_not_utf8() -> None:
    """A file that is not UTF-8 says so."""
    with pytest.raises(PolicyInvalid, match="UTF-8"):
        parse(b"\xff\xfe", Policy())


@given(st.binary(max_size=200))
def test_any_bytes(text: bytes) -> None:
    """Any bytes are a policy or a coded error."""
    with suppress(PolicyInvalid):
        parse(text, Policy())


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.text(alphabet="ab\"'\n.", max_size=5)),
    lambda inner: st.lists(inner, max_size=3),
)
NAMES = st.sampled_from(
    [
        "allow",
        "kid",
        "max_age",
        "retain",
        "revoked",
        "x5c",
        "keys",
        "keys.a.alg",
        "keys.a.aliases",
        "issuer",
        "metadata",
        "metadata.token_endpoint",
        "metadata.grant_types_supported",
    ]
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_document(document: dict[str, object]) -> None:
    """So is any TOML document, whatever its values."""
    import json

    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in document.items())
    with suppress(PolicyInvalid):
        parse(text.encode(), Policy())
