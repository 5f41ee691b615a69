"""Whatever a text holds, it stays a text."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from jwks_server.serving.page.html import Html, element, join, text
from jwks_server.text import printable

ANYTHING = st.text(st.characters(), max_size=80) | st.sampled_from(
    [
        "</td><script>alert(1)</script>",
        '" onload="alert(1)',
        "' x='",
        "<!--",
        "]]>",
        "&lt;",
        "a\r\n\ndata: x",
        "\udcff",
        "\0",
    ]
)


class _Read(HTMLParser):
    """Takes down what a browser would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.content = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.content += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def read(html: str) -> _Read:
    """Parse HTML."""
    parser = _Read()
    parser.feed(html)
    parser.close()
    return parser


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
