"""Whatever a text holds, it stays a text."""

from hypothesis import given
from status_pages import ANYTHING, read

from jwks_server.serving.page.html import Html, element, join, text
from jwks_server.text import printable


@given(ANYTHING, ANYTHING)
def test_text_and_attributes_are_escaped(content: str, value: str) -> None:
    """A text is never markup, in an element or in an attribute, and ends no line."""
    written = element("p", content, title=value)
    seen = read(written)
    assert seen.tags == [("p", [("title", printable(value))])]
    assert seen.content == printable(content)
    assert written.isprintable()
    assert written.encode()


def test_html_is_not_escaped_again() -> None:
    """An element is the content of another one; None is nothing."""
    assert element("p", element("b", "<"), None, 7) == "<p><b>&lt;</b>7</p>"
    assert join(("<", None, Html("<br>"))) == "&lt;<br>"
    assert text(text("&")) == "&amp;"


def test_attributes() -> None:
    """Names have hyphens; None and False are no attribute, True is one without a value."""
    assert element("input", class_="a", data_at=None, open=False, disabled=True, aria_label=0) == (
        '<input class="a" disabled aria-label="0">'
    )
