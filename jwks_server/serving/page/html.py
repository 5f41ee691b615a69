"""HTML and SVG whose text is always escaped: names and reasons come from files, which can hold anything."""

from collections.abc import Iterable
from html import escape

from jwks_server.text import printable

# HTML's elements without content; each other one gets an end tag, as SVG needs too.
_VOID = frozenset({"br", "input", "link", "meta"})


class Html(str):
    """A text that is HTML already. Only this module makes one from a text that it hasn't escaped."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escape a text; HTML stays as it is. What can't be printed is written as an escape sequence."""
    return value if isinstance(value, Html) else Html(escape(printable(str(value))))


def join(parts: Iterable[object]) -> Html:
    """Write texts and elements one after the other; None is nothing."""
    return Html("".join(text(part) for part in parts if part is not None))


def element(tag: str, /, *children: object, **attributes: object) -> Html:
    """Write an element.

    Args:
        tag: Its name.
        children: Its content: texts, which are escaped, and elements; None is nothing.
        attributes: ``_`` stands for a hyphen, and one at the end is left out: ``class_``, ``aria_label``. None and
            False are no attribute, and True is one without a value.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{join(children)}</{tag}>")
