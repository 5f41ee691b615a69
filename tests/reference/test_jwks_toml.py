"""docs/reference/jwks-toml.md describes what jwks.toml may say."""

import re
from collections.abc import Mapping

import pytest
from reference.tables import names, page, rows, text_of

from jwks_server.errors import PolicyInvalid
from jwks_server.keys import metadata
from jwks_server.keys.policy import FILE, SET, KeyPolicy, Policy, parse
from jwks_server.keys.table import Member
from jwks_server.options.table import SERVE
from jwks_server.source.files import MAX_POLICY_BYTES

PAGE = page("jwks-toml")
(EXAMPLE,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
ISSUER = 'issuer = "https://id.example.com"\n[metadata]\n'
METADATA = {
    "authorization_endpoint": '"https://id.example.com/a"',
    "token_endpoint": '"https://id.example.com/t"',
    "response_types_supported": '["code"]',
    "subject_types_supported": '["public"]',
}
# In words, or as TOML writes them; an empty list is as good as nothing.
DEFAULTS = {"true": True, "[]": None, "none": None, "at once": None, "never": None}


def with_metadata(**members: str) -> str:
    """Write a file with an issuer and these members."""
    return ISSUER + "".join(f"{name} = {value}\n" for name, value in members.items())


def refused(text: str) -> str:
    """Return what is wrong with a file."""
    with pytest.raises(PolicyInvalid) as caught:
        parse(text.encode(), Policy())
    return caught.value.message


@pytest.mark.parametrize(("heading", "members"), [("The set", SET), ("One file", FILE)])
def test_every_member(heading: str, members: Mapping[str, Member]) -> None:
    """The table has each member, and what its value must be in the words of the error messages."""
    found = rows(PAGE, heading)
    assert [names(row[0]) for row in found] == [[name] for name in members]
    assert [text_of(row[1]) for row in found] == [one.what for one in members.values()]


def test_defaults() -> None:
    """A member's default is that of the code, or the flag of its name."""
    flags = {one.flag for one in SERVE}
    for cell, _, default, _ in rows(PAGE, "The set"):
        (name,) = names(cell)
        flag = f"--{name.replace('_', '-')}"
        assert (names(default) == [flag]) == (flag in flags)
        assert flag in flags or DEFAULTS[text_of(default)] == (getattr(Policy(), name) or None)
    for cell, _, default, _ in rows(PAGE, "One file"):
        assert DEFAULTS.get(text_of(default)) == (getattr(KeyPolicy(), names(cell)[0]) or None)


def test_example() -> None:
    """The example is a valid file, and each of its members is in force."""
    policy = parse(EXAMPLE.encode(), Policy())
    assert (policy.retain, len(policy.revoked), policy.issuer) == (7200, 1, "https://id.example.com")
    assert policy.files["2026-12.pem"].alg == "PS256"
    assert policy.metadata.keys() == METADATA.keys()


def test_metadata() -> None:
    """What the table calls required is required, and what it says can't be set can't."""
    listed = {name: row for row in rows(PAGE, "Metadata") for name in names(row[0])}
    assert rows(PAGE, "Metadata")[-1][0] == "any other"
    derived = {name for name, row in listed.items() if row[1].startswith("can't be set")}
    assert derived == {"issuer", "jwks_uri", metadata.ALGORITHMS, "signed_metadata"}
    for name in derived:
        assert "can't be set here" in refused(with_metadata(**METADATA, **{name: '"x"'}))
    required = {name for name, row in listed.items() if row[2] != "no"}
    assert required == METADATA.keys()
    assert listed.keys() == derived | required | {"grant_types_supported"}
    for name in required:
        assert name in refused(with_metadata(**{one: text for one, text in METADATA.items() if one != name}))
    others = {"response_types_supported": '["x"]', "subject_types_supported": '["x"]'}
    implicit = with_metadata(**others, authorization_endpoint='"https://x/"', grant_types_supported='["implicit"]')
    assert parse(implicit.encode(), Policy()).metadata
    machines = with_metadata(**others, token_endpoint='"https://x/"', grant_types_supported='["client_credentials"]')
    assert parse(machines.encode(), Policy()).metadata


def test_limits() -> None:
    """The sizes that the page names are those of the code."""
    assert MAX_POLICY_BYTES == 4 * 1024 * 1024
    assert "at most 4 MiB" in PAGE
    assert "32 parts" in PAGE
    assert "32 parts" in refused(".".join("a" * 33) + " = 1")
    assert "at most 16 levels deep" in PAGE
    for levels, is_good in ((16, True), (17, False)):
        text = with_metadata(**METADATA, deep="[" * levels + '"x"' + "]" * levels)
        assert is_good or "JSON can't hold" in refused(text)
        assert not is_good or parse(text.encode(), Policy()).metadata["deep"]
