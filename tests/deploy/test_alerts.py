"""The alert rules: what sets each off, and what doesn't."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from manifests import CHART, DEPLOY, charted, kustomized, read_yaml, run, the, tool
from support import ROOT

RULES = DEPLOY / "prometheus" / "rules.yaml"
(GROUPS,) = read_yaml(RULES.read_text())
ALERTS = [rule for group in GROUPS["groups"] for rule in group["rules"]]

DAY = 86400
# The test's clock starts at 0; the keys of healthy replicas were published two days before. A sample a minute.
LONG_AGO = -2 * DAY
SAFE_AFTER = 1200
STEADY = "x120"
KEY = 'issuer="/",kid="old"'
NEW = 'issuer="/",kid="new"'

Series = dict[str, str | float | None]


def key(labels: str, first: float, *, stage: str = "published") -> Series:
    """Give a key's series."""
    return {
        f'jwks_server_key_info{{{labels},alg="RS256",use="sig",stage="{stage}",file="a.pem"}}': 1,
        f"jwks_server_key_first_published_timestamp_seconds{{{labels}}}": first,
        f"jwks_server_key_safe_to_sign_timestamp_seconds{{{labels}}}": first + SAFE_AFTER,
    }


def without(labels: str) -> Series:
    """Take a key's series away."""
    return dict.fromkeys(key(labels, 0))


HEALTHY: Series = {
    'jwks_server_build_info{version="1"}': 1,
    "process_start_time_seconds": LONG_AGO - DAY,
    "jwks_server_ready": 1,
    "jwks_server_draining": 0,
    "jwks_server_last_reload_successful": 1,
    "jwks_server_last_reload_success_timestamp_seconds": "0+60x120",
    'jwks_server_set_info{issuer="/",digest="d1"}': 1,
    'jwks_server_keys{issuer="/",stage="published",alg="RS256"}': 1,
    f"jwks_server_key_certificate_not_after_timestamp_seconds{{{KEY}}}": 90 * DAY,
    **key(KEY, LONG_AGO),
}
NO_KEY: Series = {'jwks_server_keys{issuer="/",stage="published",alg="RS256"}': None, **without(KEY)}


@dataclass(frozen=True)
class Case:
    """What replica a does otherwise than replica b, and the alerts that fire after so many minutes."""

    a: Mapping[str, str | float | None]
    fires: Mapping[int, set[str]]
    b: Mapping[str, str | float | None] = field(default_factory=dict)


QUIET: set[str] = set()
CASES = {
    "healthy": Case({}, {1: QUIET, 90: QUIET}),
    "nothing is scraped": Case(dict.fromkeys(HEALTHY), {4: QUIET, 6: {"JwksServerAbsent"}}, b=dict.fromkeys(HEALTHY)),
    "one replica is gone": Case(dict.fromkeys(HEALTHY), {90: QUIET}),
    "a set without a key": Case(NO_KEY, {1: QUIET, 3: {"JwksNoKeys"}}),
    "only a retiring key": Case(
        {
            **NO_KEY,
            'jwks_server_keys{issuer="/",stage="retiring",alg="RS256"}': 1,
            **key(KEY, LONG_AGO, stage="retiring"),
        },
        {3: {"JwksNoKeys"}},
    ),
    "never loaded": Case(
        {
            **dict.fromkeys(HEALTHY),
            'jwks_server_build_info{version="1"}': 1,
            "jwks_server_ready": 0,
            "jwks_server_draining": 0,
            "jwks_server_last_reload_successful": 0,
        },
        {1: QUIET, 3: {"JwksNoKeys"}, 90: {"JwksNoKeys", "JwksReloadFailing"}},
    ),
    "draining": Case({"jwks_server_ready": 0, "jwks_server_draining": 1}, {90: QUIET}),
    "another issuer without a key": Case(
        {'jwks_server_set_info{issuer="/acme",digest="d1"}': 1},
        {3: {"JwksNoKeys"}},
        b={'jwks_server_set_info{issuer="/acme",digest="d1"}': 1},
    ),
    "a key was replaced in one step": Case(
        {**without(KEY), **key(NEW, 600)}, {2: {"JwksSigningTooEarly"}, 29: {"JwksSigningTooEarly"}, 31: QUIET}
    ),
    "a new key beside an old one": Case(key(NEW, 600), {2: QUIET, 25: QUIET}),
    "a new key beside a retiring one": Case(
        {**without(KEY), **key(KEY, LONG_AGO, stage="retiring"), **key(NEW, 600)},
        {2: {"JwksSigningTooEarly"}, 31: QUIET},
    ),
    "a new key beside a pending one": Case({**key(NEW, 0, stage="pending")}, {25: QUIET}),
    "a restart that forgot": Case({"process_start_time_seconds": -3, **key(KEY, -2)}, {2: QUIET, 15: QUIET}),
    "a replacement after that restart": Case(
        {"process_start_time_seconds": -300, **without(KEY), **key(NEW, 0)}, {2: {"JwksSigningTooEarly"}}
    ),
    "a replacement remembered across a restart": Case(
        {"process_start_time_seconds": 0, **without(KEY), **key(NEW, -300)},
        {2: {"JwksSigningTooEarly"}, 16: QUIET},
    ),
    "a new key for encryption": Case(
        {
            **without(KEY),
            'jwks_server_key_info{issuer="/",kid="new",alg="RSA-OAEP",use="enc",stage="published",file="a.pem"}': 1,
            f"jwks_server_key_first_published_timestamp_seconds{{{NEW}}}": 0,
            f"jwks_server_key_safe_to_sign_timestamp_seconds{{{NEW}}}": SAFE_AFTER,
        },
        {15: QUIET},
    ),
    "replicas with different sets": Case(
        {
            'jwks_server_set_info{issuer="/",digest="d1"}': None,
            'jwks_server_set_info{issuer="/",digest="d2"}': 1,
        },
        {4: QUIET, 6: {"JwksReplicasDisagree"}},
    ),
    "replicas that meet again": Case(
        {
            'jwks_server_set_info{issuer="/",digest="d1"}': "_x2 1x117",
            'jwks_server_set_info{issuer="/",digest="d2"}': "1x2 stale",
        },
        {1: QUIET, 90: QUIET},
    ),
    "issuers with different sets": Case(
        {
            'jwks_server_set_info{issuer="/acme",digest="d2"}': 1,
            'jwks_server_keys{issuer="/acme",stage="published",alg="RS256"}': 1,
        },
        {90: QUIET},
    ),
    "a reload that fails": Case({"jwks_server_last_reload_successful": 0}, {4: QUIET, 6: {"JwksReloadFailing"}}),
    "a reload that failed once": Case({"jwks_server_last_reload_successful": "0x2 1x118"}, {6: QUIET}),
    "a directory that hangs": Case(
        {"jwks_server_last_reload_success_timestamp_seconds": 60}, {10: QUIET, 13: {"JwksStaleSet"}}
    ),
    "a certificate that ends": Case(
        {f"jwks_server_key_certificate_not_after_timestamp_seconds{{{KEY}}}": 13 * DAY},
        {59: QUIET, 61: {"JwksKeyNearExpiry"}},
    ),
    "a certificate that has ended": Case(
        {f"jwks_server_key_certificate_not_after_timestamp_seconds{{{KEY}}}": -DAY}, {61: {"JwksKeyNearExpiry"}}
    ),
    "a retiring key's certificate ends": Case(
        {
            **without(KEY),
            **key(KEY, LONG_AGO, stage="retiring"),
            **key(NEW, LONG_AGO),
            f"jwks_server_key_certificate_not_after_timestamp_seconds{{{KEY}}}": DAY,
        },
        {90: QUIET},
    ),
}


def series(instance: str, changes: Mapping[str, str | float | None]) -> list[dict[str, str]]:
    """Write a replica's series as promtool reads them."""
    target = f'job="jwks-server-admin",namespace="jwks",instance="{instance}"'
    return [
        {
            "series": f"{name.removesuffix('}')}{',' if '{' in name else '{'}{target}}}",
            "values": value if isinstance(value, str) else f"{value}{STEADY}",
        }
        for name, value in {**HEALTHY, **changes}.items()
        if value is not None
    ]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_alert(case: Case, tmp_path: Path) -> None:
    """The alerts of the case fire at its minutes, and no others."""
    promtool = tool("promtool", "Debian's prometheus")
    checks = [
        {
            "eval_time": f"{minute}m",
            "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
        }
        for minute, names in case.fires.items()
    ]
    test = {
        "interval": "1m",
        "input_series": series("a", case.a) + series("b", case.b),
        "promql_expr_test": checks,
    }
    # JSON is YAML.
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    run(promtool, "test", "rules", file)


def test_every_alert_has_a_case() -> None:
    """No alert is there that no case sets off."""
    assert {name for case in CASES.values() for names in case.fires.values() for name in names} == {
        one["alert"] for one in ALERTS
    }


def test_rules_are_valid() -> None:
    """Prometheus takes the rules."""
    assert f"{len(ALERTS)} rules found" in run(tool("promtool", "Debian's prometheus"), "check", "rules", RULES)


def test_rules_are_the_same_everywhere() -> None:
    """The PrometheusRules of Kustomize and of the chart have the rules of the plain file."""
    for objects in (kustomized("prometheus-operator"), charted({"monitoring": {"enabled": True}})):
        assert the(objects, "PrometheusRule")["spec"] == GROUPS
    assert (CHART / "rules.yaml").resolve() == RULES


def test_every_alert_has_a_runbook() -> None:
    """docs/runbooks.md has a section for each alert, which names it, and none for an alert that doesn't exist."""
    sections = [
        line.removeprefix("## ")
        for line in (ROOT / "docs" / "runbooks.md").read_text().splitlines()
        if line.startswith("## ")
    ]
    assert sections == [one["alert"] for one in ALERTS]
    for one in ALERTS:
        assert one["annotations"]["runbook"] == f"docs/runbooks.md#{one['alert'].lower()}"
        assert one["labels"]["severity"] in {"critical", "warning"}
        assert {"summary", "description", "runbook"} == one["annotations"].keys()
