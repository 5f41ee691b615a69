"""The dashboard."""

import json
import re
from pathlib import Path

from manifests import DEPLOY, Object, run, tool

DASHBOARD: Object = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
PANELS = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
WIDTH = 24


def test_expressions_are_promql(tmp_path: Path) -> None:
    """Prometheus can parse every expression, once Grafana has filled in its variables."""
    filled = [
        re.sub(r"\$(\w+)", lambda match: "5m" if match[1] == "__rate_interval" else ".*", target["expr"])
        for panel in PANELS
        for target in panel["targets"]
    ]
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(filled)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    found = run(tool("promtool", "Debian's prometheus"), "check", "rules", "--lint=none", file)
    assert f"{len(filled)} rules found" in found


def test_panels_do_not_overlap() -> None:
    """Each panel has an id, a place and a description of its own."""
    taken: set[tuple[int, int]] = set()
    for one in DASHBOARD["panels"]:
        place = one["gridPos"]
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert place["x"] + place["w"] <= WIDTH
        assert not cells & taken
        taken |= cells
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(one["title"] and one["description"] for one in PANELS)
    for one in PANELS:
        assert len({target["refId"] for target in one["targets"]}) == len(one["targets"])


def test_variables_are_defined() -> None:
    """Every variable that a panel uses is the dashboard's own, or one of Grafana's; every one is used."""
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used == {one["name"] for one in DASHBOARD["templating"]["list"]}
