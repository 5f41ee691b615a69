"""The life of a key as a drawing: one bar on a time line, with now in the middle."""

from collections.abc import Mapping

from jwks_server.keys.keyset import Key
from jwks_server.serving.page.html import Html, element, join
from jwks_server.serving.page.life import Phase, Span, moments, phase, spans, word
from jwks_server.serving.page.moments import TICKS, day, place, relative

# The vertical place and the height of each part, and the pattern of one: not only colors tell them apart.
_BAR: Mapping[Phase, tuple[int, int]] = {
    "pending": (8, 8),
    "published": (7, 10),
    "safe": (4, 16),
    "retiring": (7, 10),
    "gone": (11, 2),
}
_FILLS: Mapping[Phase, str] = {"retiring": "url(#hatch)"}
# A span of seconds is still to be seen, between spans of months.
_MIN_WIDTH = 0.5


def bar(key: Key, now: float) -> Html:
    """Draw a key's life. Places are attributes in percent, so that nothing is distorted at any width."""
    ahead = [one for one in moments(key) if one.at > now]
    return element(
        "svg",
        _GRID,
        *(_span(one, now) for one in spans(key)),
        _NOW,
        *(
            element("circle", cx=_percent(place(one.at, now)), cy=12, r=3.5, class_="moment", data_at=f"{one.at:.3f}")
            for one in ahead[:1]
        ),
        class_="bar",
        height=24,
        role="img",
        aria_label=told(key, now),
    )


def _span(span: Span, now: float) -> Html:
    y, height = _BAR[span.phase]
    begin = 0.0 if span.begin is None else place(span.begin, now)
    if span.phase == "pending":  # since when is not known
        begin = 50.0
    end = 100.0 if span.end is None else place(span.end, now)
    return element(
        "rect",
        x=_percent(begin),
        width=_percent(max(end - begin, _MIN_WIDTH)),
        y=y,
        height=height,
        rx=2,
        class_=span.phase,
        fill=_FILLS.get(span.phase),
        data_from="now" if span.phase == "pending" else _seconds(span.begin),
        data_to=_seconds(span.end),
    )


def told(key: Key, now: float) -> str:
    """Say what the drawing shows."""
    parts = (
        f"{word(phase(key, now), key.use)} now",
        *(
            f"{word(span.phase, key.use)} since {day(span.begin)}"
            for span in spans(key)
            if span.begin is not None and span.begin <= now
        ),
        *(f"{one.becomes} at {day(one.at)}, {relative(one.at, now)}" for one in moments(key) if one.at > now),
    )
    return f"Time line of key {key.kid}: " + "; ".join(parts)


def axis() -> Html:
    """Draw the labels of the time line."""
    labels = [
        element("text", label, x=_percent(place(sign * seconds, 0)), y=11, class_="wide" if label == "7 d" else None)
        for seconds, label in TICKS
        for sign in (-1, 1)
    ]
    now = element("text", "now", x="50%", y=11, class_="now")
    return element("svg", *labels, now, class_="axis", height=14, aria_hidden="true")


def legend() -> Html:
    """Name the parts of a key's life, each with its mark."""
    items = []
    for name, (y, height) in _BAR.items():
        mark = element("rect", x=1, y=y, width=22, height=height, rx=2, class_=name, fill=_FILLS.get(name))
        drawing = element("svg", mark, class_="mark", width=24, height=24, aria_hidden="true")
        items.append(element("li", drawing, word(name)))
    return element("ul", *items, class_="legend", aria_label="Parts of a key's life")


def patterns() -> Html:
    """Define the pattern that the drawings use."""
    lines = join(
        (element("rect", width=6, height=6, class_="hatch-ground"), element("rect", width=3, height=6, class_="hatch"))
    )
    pattern = element(
        "pattern", lines, id="hatch", width=6, height=6, patternUnits="userSpaceOnUse", patternTransform="rotate(45)"
    )
    return element("svg", element("defs", pattern), class_="patterns", width=0, height=0, aria_hidden="true")


def _percent(value: float) -> str:
    return f"{value:.2f}%"


def _seconds(instant: float | None) -> str | None:
    return None if instant is None else f"{instant:.3f}"


# One shape for all ticks: on a page there are many time lines.
_TICKS = "".join(f"M{place(sign * seconds, 0):.2f} 0V24" for seconds, _ in TICKS for sign in (-1, 1))
_GRID = element(
    "svg",
    element("path", d=_TICKS, class_="tick"),
    width="100%",
    height=24,
    viewBox="0 0 100 24",
    preserveAspectRatio="none",
)
_NOW = element("line", x1="50%", x2="50%", y1=0, y2=24, class_="now")
