"""What is written from other files into the chart: README's table of values, and the settings in the schema.

``make reference`` writes both; a test compares them.
"""

import json
from collections.abc import Iterator
from typing import Any

from manifests import CHART, yaml
from option_docs import helm_settings

MARK = "<!-- The table is written from values.yaml by tests/chart_docs.py. -->\n"


def values_table() -> str:
    """Write the values with their defaults and comments as a table.

    Raises:
        ValueError: A value has no comment.
    """
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text)
    rows = [f"| `{name}` | {default} | {comment} |" for name, default, comment in _rows(root, text.splitlines())]
    return "\n".join(["| value | default | |", "| --- | --- | --- |", *rows, ""])


def readme() -> str:
    """Write the chart's README: the text by hand that it has, and the table."""
    return (CHART / "README.md").read_text().partition(MARK)[0] + MARK + "\n" + values_table()


def schema() -> str:
    """Write the schema: what it has by hand, and the settings."""
    written: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    written["properties"]["config"]["properties"] = helm_settings()
    return json.dumps(written, indent=2) + "\n"


def _rows(node: Any, lines: list[str], before: str = "") -> Iterator[tuple[str, str, str]]:
    """List the values below a mapping: those with a comment, at any depth."""
    for key, value in node.value:
        name, comment = before + key.value, _comment(lines, key.start_mark.line)
        if comment:
            yield name, f"`{json.dumps(yaml.safe_load(yaml.serialize(value)))}`", comment
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _rows(value, lines, f"{name}.")
        else:
            raise ValueError(f"values.yaml has no comment for {name}; write one above it.")


def _comment(lines: list[str], line: int) -> str:
    """Read the comment that stands right above a line."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(one.lstrip().removeprefix("# ") for one in lines[first:line])


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme())
    (CHART / "values.schema.json").write_text(schema())
