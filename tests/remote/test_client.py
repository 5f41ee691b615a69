"""The client: URLs, replies and their times."""

import pytest

from jwks_server.errors import ConfigError, FetchFailed
from jwks_server.remote.client import Answer, get, parse_url


def answer(body: bytes) -> Answer:
    """Make an answer with a body."""
    return Answer("https://a.example/keys", body, None, None, 0)


@pytest.mark.parametrize(
    "text", ["", "a.example", "ftp://a.example", "https://", "http://[::1", "https://[fe80::1%25a]/"]
)
def test_not_a_url(text: str) -> None:
    """Another text than an http or https URL is refused."""
    with pytest.raises(ConfigError):
        parse_url(text)


def test_a_password_is_not_repeated() -> None:
    """A URL with a user is refused, and the message doesn't show the password."""
    with pytest.raises(ConfigError, match=r"^a\.example") as caught:
        parse_url("https://me:secret@a.example")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", b"[" * 100_000, b"\xff"])
def test_not_a_json_object(body: bytes) -> None:
    """A body that is not a JSON object is an error that names the URL."""
    with pytest.raises(FetchFailed, match=r"a\.example"):
        answer(body).document()


@pytest.mark.parametrize("body", [b"{}", b'{"keys": {}}', b'{"keys": ["a"]}'])
def test_not_a_jwk_set(body: bytes) -> None:
    """A JSON object without a list of keys is an error that names the URL."""
    with pytest.raises(FetchFailed, match="JWK Set"):
        answer(body).keys()


def test_a_jwk_set() -> None:
    """The keys are returned as they are."""
    assert answer(b'{"keys": [{"kid": "a"}]}').keys() == [{"kid": "a"}]


def test_nothing_listens() -> None:
    """A URL that can't be reached is an error that names it."""
    with pytest.raises(FetchFailed, match=r"^http://127\.0\.0\.1:1/"):
        get("http://127.0.0.1:1/")
