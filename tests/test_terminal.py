"""How log events are laid out for a terminal; test_on_a_terminal.py has real ones."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwks_server.console import columns
from jwks_server.terminal import Renderer, lines

NOW = "2026-11-29T10:10:07.257367Z"
KEY: dict[str, Any] = {"file": "2026-10.pem", "kid": "7Ow7Aw8-r2Lq2sy0fyIdC52320pdfrRlMs6HTEYTrmo", "alg": "RS256"}


def shown(event: str, limit: int = 100, level: str = "info", **fields: Any) -> str:
    """Lay out an event without colors."""
    return "\n".join(lines({"event": event, "level": level, "timestamp": NOW, **fields}, limit))


@pytest.mark.parametrize(
    ("event", "fields", "following"),
    [
        ("key-pending", {"publish_at": "2026-12-01T00:00:00.000Z"}, ", published at 2026-12-01T00:00:00Z"),
        (
            "key-published",
            {"safe_to_sign_at": "2026-11-29T10:30:07.269Z", "retires_at": "2026-12-01T00:00:00.000Z"},
            ", safe to sign at 10:30:07Z",
        ),
        (
            "key-published",
            {"safe_to_sign_at": "2026-11-29T10:10:07.256Z", "retires_at": "2026-12-01T00:00:00.000Z"},
            ", leaves the set at 2026-12-01T00:00:00Z",
        ),
        (
            "key-published",
            {"certificate_not_after": "2027-02-01T00:00:00.000Z"},
            ", its certificate ends at 2027-02-01T00:00:00Z",
        ),
        ("key-published", {}, ""),
        ("key-retiring", {"retires_at": "2026-11-29T11:10:07.000Z"}, ", leaves the set at 11:10:07Z"),
        ("key-removed", {"since": "2026-11-01T00:00:00.000Z"}, ", removed at 2026-11-01T00:00:00Z"),
        ("key-revoked", {}, ""),
        ("key-withdrawn", {"retires_at": "2026-11-29T10:10:07.000Z"}, ""),
    ],
)
def test_a_key(event: str, fields: dict[str, Any], following: str) -> None:
    """A key's line has the start of the kid, the alg, the file, and what happens next, within 100 columns."""
    text = shown(event, **KEY, first_published="2026-11-01T00:00:00.000Z", **fields)
    assert text == f"10:10:07Z {event:<13} 7Ow7Aw8- RS256 2026-10.pem{following}"
    assert columns(text) <= 100


def test_a_key_of_an_issuer() -> None:
    """The file is named below the key directory."""
    assert shown("key-revoked", **KEY, issuer="/acme") == "10:10:07Z key-revoked   7Ow7Aw8- RS256 acme/2026-10.pem"


def test_a_long_name_is_shortened() -> None:
    """A file's name takes one line at most; its start and its end are shown."""
    text = shown(
        "file-refused", limit=80, level="error", file="a" * 250 + ".pem", code="pem-missing", reason="It is bad."
    )
    first, second, third = text.splitlines()
    assert first == "10:10:07Z file-refused  error:"
    assert second.startswith("          aaaa")
    assert second.endswith("aaaa.pem:")
    assert columns(second) <= 80
    assert third.strip() == "It is bad. [pem-missing]"


def test_other_events() -> None:
    """A warning or an error says so; a reason is a sentence with its code; other fields have their names."""
    assert (
        shown("loaded", issuers=1, settings="", rest=None, text="a b") == "10:10:07Z loaded        issuers=1 text='a b'"
    )
    assert (
        shown("reload-failed", level="error", code="policy-invalid", reason="No.", serving=True, issuer="/acme")
        == "10:10:07Z reload-failed error: /acme: No. [policy-invalid] serving=True"
    )
    assert shown("issuer-withdrawn", issuer="/acme") == "10:10:07Z issuer-withdrawn /acme"
    assert shown("words of a library", level="warning") == "10:10:07Z words of a library warning:"
    assert (
        shown("failed", level="error", exception="Traceback\n  x\x1b")
        == "10:10:07Z failed        error:\nTraceback\n  x\\x1b"
    )


def test_serving() -> None:
    """The last lines of a start are where to look, and are not preceded by a time."""
    url, page = "http://127.0.0.1:8080/.well-known/jwks.json", "http://127.0.0.1:8081/"
    one: dict[str, Any] = {"keys": 2, "issuers": 1, "urls": [url], "more": 0}
    assert shown("serving", **one, status_page=page) == f"serving 2 keys at {url}\nstatus page: {page}"
    assert shown("serving", **{**one, "keys": 1}, status_page=None) == f"serving 1 key at {url}"
    assert shown("serving", **{**one, "keys": 0}, status_page=None) == f"serving no keys yet at {url}"
    assert shown("serving", **one, status_page=None, limit=40) == f"serving 2 keys at\n{url}"
    several: dict[str, Any] = {"keys": 9, "issuers": 5, "urls": [url, f"{url}x"], "more": 3}
    assert shown("serving", **several, status_page=None) == (
        f"serving 9 keys of 5 issuers at\n  {url}\n  {url}x\n  and 3 more"
    )


TEXTS = st.text() | st.integers() | st.none() | st.just("2026-11-29T10:30:07.269Z")


@given(
    st.sampled_from(["key-published", "file-refused", "serving", "starting", "a text with spaces"]),
    st.dictionaries(
        st.sampled_from(
            [*KEY, "reason", "code", "issuer", "subject", "retires_at", "safe_to_sign_at", "urls", "other"]
        ),
        TEXTS | st.lists(st.text()),
    ),
    st.integers(40, 120),
)
def test_hostile_fields(event: str, fields: dict[str, Any], limit: int) -> None:
    """Whatever a field holds, nothing steers the terminal, and a line is too wide only if it is one word."""
    for line in shown(event, limit=limit, **fields).split("\n"):
        assert line.isprintable()
        assert columns(line) <= limit or " " not in line.strip()


def test_colors() -> None:
    """With colors, the event's name is bold and an error red; the text is the same."""
    event = {"event": "file-refused", "level": "error", "timestamp": NOW, "file": "a.pem"}
    (line,) = lines(event, 80, colored=True)
    assert "\x1b[1mfile-refused\x1b[0m" in line
    assert "\x1b[31m error:\x1b[0m" in line


def test_a_stream_without_a_width() -> None:
    """Where the width is not known, it is 100."""
    text = Renderer(io.StringIO())(None, "info", {"event": "a", "level": "info", "timestamp": NOW, "b": "word " * 40})
    assert max(map(len, text.split("\n"))) in range(90, 101)
