"""Tables that stay tables for a screen reader where the style sheet stacks their cells, as on a telephone."""

from collections.abc import Iterable, Mapping, Sequence

from jwks_server.serving.page.html import Html, element


def table(
    caption: object, columns: Mapping[str, object], rows: Iterable[Sequence[object]], **attributes: object
) -> Html:
    """Write a table.

    Args:
        caption: What it is about; it is read out and not shown.
        columns: The columns' classes, with their headings.
        rows: The cells of each row; the first one is the row's heading.
        attributes: The table's attributes.
    """
    head = element(
        "tr",
        *(element("th", heading, class_=name, scope="col", role="columnheader") for name, heading in columns.items()),
        role="row",
    )
    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", head, role="rowgroup"),
        element("tbody", *(_row(tuple(columns), cells) for cells in rows), role="rowgroup"),
        role="table",
        **attributes,
    )


def _row(names: Sequence[str], cells: Sequence[object]) -> Html:
    first = element("th", cells[0], class_=names[0], scope="row", role="rowheader")
    others = (element("td", cell, class_=name, role="cell") for name, cell in zip(names[1:], cells[1:], strict=True))
    return element("tr", first, *others, role="row")
