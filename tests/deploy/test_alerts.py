"""The alert rules: what sets each off, and what doesn't."""

import json
from pathlib import Path

import pytest
from alert_cases import CASES, MINUTES, Case, matrix
from manifests import CHART, DEPLOY, charted, kustomized, read_yaml, run, the, tool
from support import ROOT

RULES = DEPLOY / "prometheus" / "rules.yaml"
(GROUPS,) = read_yaml(RULES.read_text())
ALERTS = [rule for group in GROUPS["groups"] for rule in group["rules"]]
NAMES = [one["alert"] for one in ALERTS]
NOW_AND_THEN = (0, 3, 8, 14, 19, 27, 45)
RUNBOOKS = "https://github.com/jwks-server/jwks-server/blob/main/docs/runbooks.md"


def checks(case: Case) -> list[dict[str, object]]:
    """Say which alerts fire, and that no other does: on both sides of each change, and now and then."""
    changes = {minute for firing in case.fires.values() for minute in firing if minute is not None}
    minutes = {*NOW_AND_THEN, *(minute + more for minute in changes for more in (-1, 0, 5))}
    return [
        {
            "eval_time": f"{minute}m",
            "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
            "exp_samples": [
                {"labels": f'{{alertname="{name}"}}', "value": 1}
                for name, (first, last) in sorted(case.fires.items())
                if first <= minute < (last or MINUTES)
            ],
        }
        for minute in sorted(minutes)
    ]


@pytest.mark.parametrize("per_issuer", [False, True], ids=["totals", "per-issuer"])
def test_alerts(tmp_path: Path, per_issuer: bool) -> None:
    """In each scenario the alerts fire in their minutes, and no others do, with and without metrics per issuer."""
    promtool = tool("promtool", "Debian's prometheus")
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": case.series(per_issuer=per_issuer),
            "promql_expr_test": checks(case),
        }
        for name, case in CASES.items()
        if not per_issuer or any("issuer" in series for series in (*case.a, *case.b))
    ]
    # JSON is YAML.
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    run(promtool, "test", "rules", file)


def test_every_alert_has_cases() -> None:
    """Each alert fires in a scenario, is over in another, and only alerts that exist are named."""
    fired = {(name, last is not None) for case in CASES.values() for name, (_, last) in case.fires.items()}
    assert {name for name, _ in fired} == set(NAMES)
    assert {name for name, over in fired if over} == set(NAMES)


def test_matrix_is_documented() -> None:
    """docs/reference/alerts.md has the table of the scenarios that promtool runs."""
    text = (ROOT / "docs" / "reference" / "alerts.md").read_text()
    table = text[text.index("| scenario |") :].partition("\n\n")[0].strip()
    assert table == matrix(NAMES)


def test_rules_are_valid() -> None:
    """Prometheus takes the rules."""
    assert f"{len(ALERTS)} rules found" in run(tool("promtool", "Debian's prometheus"), "check", "rules", RULES)


def test_rules_are_the_same_everywhere() -> None:
    """The PrometheusRules of Kustomize and of the chart have the rules of the plain file."""
    for objects in (kustomized("prometheus-operator"), charted({"monitoring": {"enabled": True}})):
        assert the(objects, "PrometheusRule")["spec"] == GROUPS
    assert (CHART / "rules.yaml").resolve() == RULES


def test_every_alert_has_a_runbook() -> None:
    """docs/runbooks.md has a section for each alert, which links to it, and none for an alert that doesn't exist."""
    sections = [
        line.removeprefix("## ")
        for line in (ROOT / "docs" / "runbooks.md").read_text().splitlines()
        if line.startswith("## ")
    ]
    assert sections == NAMES
    for one in ALERTS:
        assert one["annotations"]["runbook_url"] == f"{RUNBOOKS}#{one['alert'].lower()}"
        assert one["labels"]["severity"] in {"critical", "warning"}
        assert {"summary", "description", "runbook_url"} == one["annotations"].keys()
