"""``issuer`` and ``[metadata]`` of ``jwks.toml``."""

import pytest

from jwks_server.errors import PolicyInvalid
from jwks_server.keys.policy import Policy, parse

COMPLETE = """
authorization_endpoint = "https://id.example.com/authorize"
token_endpoint = "https://id.example.com/token"
response_types_supported = ["code"]
subject_types_supported = ["public"]
"""


def issuer(url: str) -> Policy:
    """Read a policy that names an issuer, with all that its documents need."""
    return parse(f'issuer = "{url}"\n[metadata]{COMPLETE}'.encode(), Policy())


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example.com",
        "https://id.example.com/",
        "https://id.example.com/acme",
        "https://id.example.com:8443/a/b~c_d-e.f/",
        "https://[2001:db8::1]/x",
        "https://login.example/tenant%20one/v2.0",
        "http://localhost:8080/acme",
        "http://127.0.0.1",
        "http://[::1]:5",
    ],
)
def test_issuer(url: str) -> None:
    """An https URL is an issuer, and one of this machine itself over http; it is taken as it is written."""
    assert issuer(url).issuer == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "id.example.com",
        "https://",
        "https:///acme",
        "http://id.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "https://id.example.com?a=b",
        "https://id.example.com/#top",
        "https://user@id.example.com",
        "https://id.example.com/a b",
        "https://id.example.com/ä",
        "https://id.example.com/a/../b",
        "https://id.example.com//a",
        "https://id.example.com/%",
        "https://id.example.com/a\\n",
        "https://id.example.com:port",
        "https://id.example.com:99999",
        "https://id..example.com",
        "https://id.example.com/%2E%2e/x",
        "http://127.999.0.1",
        "ftp://id.example.com",
    ],
)
def test_no_issuer(url: str) -> None:
    """A URL that no client could compare with a token's iss is refused (RFC 8414 section 2)."""
    with pytest.raises(PolicyInvalid, match="line 1: issuer is not an https URL without query and fragment"):
        issuer(url)


def test_members_are_kept() -> None:
    """Whatever else is in the table is published as it is."""
    text = f'issuer = "https://a.example"\n[metadata]{COMPLETE}service = {{ deep = [1, true, "x"] }}\n'
    members = parse(text.encode(), Policy()).metadata
    assert members["service"] == {"deep": [1, True, "x"]}
    assert len(members) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("issuer = 5", "line 1: issuer is not an https URL"),
        (
            "\nissuer = 'https://a.example'",
            (
                "line 2: issuer needs authorization_endpoint, token_endpoint, response_types_supported, "
                "subject_types_supported in "
            ),
        ),
        (
            (
                "issuer = 'https://a.example'\n[metadata]\nresponse_types_supported = ['id_token']\n"
                "grant_types_supported = ['implicit']"
            ),
            "line 1: issuer needs authorization_endpoint, subject_types_supported in ",
        ),
        (
            "issuer = 'https://a.example'\n[metadata]\ngrant_types_supported = ['client_credentials']",
            "line 1: issuer needs token_endpoint, response_types_supported, subject_types_supported in ",
        ),
        ("metadata = 5", "line 1: metadata is not a table"),
        ("[metadata]\nx = 1", "line 1: metadata is published with issuer"),
        ("issuer = 'https://a.example'\n[metadata]\n\nissuer = 'b'", "line 4: metadata.issuer can't be set here"),
        ("issuer = 'https://a.example'\n[metadata]\njwks_uri = 'b'", "line 3: metadata.jwks_uri can't be set here"),
        (
            "issuer = 'https://a.example'\n[metadata]\nid_token_signing_alg_values_supported = ['RS256']",
            "line 3: metadata.id_token_signing_alg_values_supported can't be set here",
        ),
        ("issuer = 'https://a.example'\n[metadata]\nx = 2026-11-24", "line 3: metadata.x has a value that JSON can't"),
        ("issuer = 'https://a.example'\n[metadata]\nx = [{y = nan}]", "line 3: metadata.x has a value that JSON can't"),
        ("issuer = 'https://a.example'\n[metadata]\nx = []", "line 3: metadata.x is empty"),
        (
            "issuer = 'https://a.example'\n[metadata]\ntoken_endpoint = 1",
            "line 3: metadata.token_endpoint is not an http or https URL",
        ),
        (
            "issuer = 'https://a.example'\n[metadata]\nauthorization_endpoint = 'javascript:alert(1)'",
            "line 3: metadata.authorization_endpoint is not an http or https URL",
        ),
        (
            "issuer = 'https://a.example'\n[metadata]\nsigned_metadata = 'eyJ'",
            "line 3: metadata.signed_metadata can't be set here",
        ),
        (f"issuer = 'https://a.example'\n[metadata]\nx = {2**53}", "line 3: metadata.x has a value that JSON can't"),
        (
            f"issuer = 'https://a.example'\n[metadata]\nx = {'[' * 17}{']' * 17}",
            "line 3: metadata.x has a value that JSON can't",
        ),
        (
            "issuer = 'https://a.example'\n[metadata]\nresponse_types_supported = ['']",
            "line 3: metadata.response_types_supported is not a list of strings",
        ),
        (
            "issuer = 'https://a.example'\n[metadata]\ngrant_types_supported = 'implicit'",
            "line 3: metadata.grant_types_supported is not a list of strings",
        ),
        (
            "issuer = 'https://a.example'\n[metadata]\nresponse_types_supported = [1]",
            "line 3: metadata.response_types_supported is not a list of strings",
        ),
    ],
)
def test_faults_name_line_and_member(text: str, message: str) -> None:
    """Each fault is reported with its line and its member; what is missing is named."""
    with pytest.raises(PolicyInvalid, match=message):
        parse(text.encode(), Policy())


def test_what_is_needed_depends_on_the_grants() -> None:
    """An issuer whose grants use no authorization endpoint needs none; implicit alone needs no token endpoint."""
    common = "response_types_supported = ['id_token']\nsubject_types_supported = ['public']\n"
    for grant, endpoint in (("client_credentials", "token_endpoint"), ("implicit", "authorization_endpoint")):
        text = f"issuer = 'https://a.example'\n[metadata]\n{common}grant_types_supported = ['{grant}']\n"
        assert parse(f"{text}{endpoint} = 'https://a.example/e'".encode(), Policy()).issuer == "https://a.example"
