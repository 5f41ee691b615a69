"""Tables for eyes and ears."""

from jwks_server.serving.page.table import table


def test_roles_and_scopes() -> None:
    """A table has a caption, its headings have scopes, and roles hold where a style sheet stacks the cells."""
    written = table("<Keys>", {"a": "A", "b": "B"}, [("one", "<two>")], class_="x")
    assert written == (
        '<table role="table" class="x"><caption class="unseen">&lt;Keys&gt;</caption>'
        '<thead role="rowgroup"><tr role="row"><th class="a" scope="col" role="columnheader">A</th>'
        '<th class="b" scope="col" role="columnheader">B</th></tr></thead>'
        '<tbody role="rowgroup"><tr role="row"><th class="a" scope="row" role="rowheader">one</th>'
        '<td class="b" role="cell">&lt;two&gt;</td></tr></tbody></table>'
    )
