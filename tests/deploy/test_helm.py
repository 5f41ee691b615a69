"""The chart: lint, the same objects as Kustomize's, and what is written from values.yaml."""

import re
from operator import itemgetter
from pathlib import Path
from typing import Any

import chart_docs
import pytest
from manifests import (
    CHART,
    COMPONENTS,
    DEPLOY,
    Object,
    charted,
    container,
    kustomized,
    loaded_chart,
    read_yaml,
    the,
    variables,
)

from jwks_server import __version__

helm = pytest.importorskip("helm_python", reason="helm_python is missing: install helm-python-sdk")

WARNING = 2
# What turns on in the chart what a component adds to the base.
VALUES: dict[str, Object] = {
    "autoscaling": {"autoscaling": {"enabled": True}},
    "cert-manager": {"certManager": {"enabled": True}},
    "gateway-api": {"gateway": {"enabled": True}},
    "ingress": {"ingress": {"enabled": True}},
    "private-keys": {"keys": {"kind": "Secret"}},
    "prometheus-operator": {"monitoring": {"enabled": True}},
}
# Labels by which Helm tells releases apart; Kustomize has nothing to tell apart.
HELM_LABELS = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)
# What the chart says and the base leaves to its default, and names that only the chart can make.
DIFFERENT = {"imagePullPolicy", "dnsNames"}


def essence(value: Any) -> Any:
    """Take away what Helm adds, and the order of lists whose members have names."""
    if isinstance(value, dict):
        return {name: essence(inner) for name, inner in value.items() if name not in {*HELM_LABELS, *DIFFERENT}}
    if isinstance(value, list):
        inner = [essence(one) for one in value]
        return (
            sorted(inner, key=itemgetter("name"))
            if all(isinstance(one, dict) and "name" in one for one in inner)
            else inner
        )
    return value


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """Order objects by kind and name; the pod of ``helm test`` is Helm's alone."""
    return {(one["kind"], one["metadata"]["name"]): essence(one) for one in objects if one["kind"] != "Pod"}


@pytest.mark.parametrize("values", [{}, *VALUES.values()], ids=["default", *VALUES])
def test_lint_finds_nothing(values: Object) -> None:
    """Helm's strict lint has no warning."""
    report = helm.lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] >= WARNING] == []


@pytest.mark.parametrize("components", [(), *((one,) for one in COMPONENTS)], ids=str)
def test_chart_is_the_kustomize_output(components: tuple[str, ...]) -> None:
    """With the same parts turned on, the chart renders the objects that Kustomize builds."""
    values = {name: value for one in components for name, value in VALUES[one].items()}
    assert by_name(charted(values)) == by_name(kustomized(*components))


def test_settings_reach_the_server_as_written() -> None:
    """Large numbers, booleans and texts become the text that the server's variable needs."""
    settings = {"RETAIN": 7776000, "PROPAGATION": 0.5, "ALLOW_EMPTY": True, "PATTERN": "*.pem tls.crt", "DRAIN": 20}
    objects = charted({"config": settings})
    found = variables(objects)
    assert {name: found[f"JWKS_SERVER_{name}"] for name in settings} == {
        "RETAIN": "7776000",
        "PROPAGATION": "0.5",
        "ALLOW_EMPTY": "true",
        "PATTERN": "*.pem tls.crt",
        "DRAIN": "20",
    }
    assert the(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 35


def test_certificate_has_the_names_of_the_service() -> None:
    """Whatever the release and its namespace are called, the certificate is valid for the Service."""
    values = {"certManager": {"enabled": True, "dnsNames": ["keys.example.com"]}}
    objects = charted(values, "one")
    names = ["one-jwks-server", "one-jwks-server.default", "one-jwks-server.default.svc", "keys.example.com"]
    certificate = the(objects, "Certificate", "one-jwks-server-tls")["spec"]
    assert certificate["dnsNames"] == names
    volumes = the(objects, "Deployment", "one-jwks-server")["spec"]["template"]["spec"]["volumes"]
    assert certificate["secretName"] in [one["secret"]["secretName"] for one in volumes if "secret" in one]


def test_pod_monitor_needs_no_service() -> None:
    """A PodMonitor selects the pods and their admin port, so there is no Service for it."""
    objects = charted({"monitoring": {"enabled": True, "kind": "PodMonitor", "labels": {"release": "prometheus"}}})
    monitor = the(objects, "PodMonitor")
    labels = the(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert [one["port"] for one in monitor["spec"]["podMetricsEndpoints"]] == ["admin"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert [one["metadata"]["name"] for one in objects if one["kind"] == "Service"] == ["jwks-server"]


def test_runbooks_can_be_elsewhere() -> None:
    """The alerts link to the runbooks at the address that the values give, each to its own section."""
    base = "https://wiki.example.com/jwks/runbooks"
    values = {"monitoring": {"enabled": True}, "alerts": {"runbookBaseUrl": base}}
    (group,) = the(charted(values), "PrometheusRule")["spec"]["groups"]
    links = {one["alert"]: one["annotations"]["runbook_url"] for one in group["rules"] if "alert" in one}
    assert links == {alert: f"{base}#{alert.lower()}" for alert in links}
    assert links
    default = the(charted({"monitoring": {"enabled": True}}), "PrometheusRule")["spec"]
    assert default == read_yaml((DEPLOY / "prometheus" / "rules.yaml").read_text())[0]


def test_parts_can_be_turned_off() -> None:
    """What a cluster doesn't have can be left out, and then the number of pods is the chart's."""
    off = {name: {"enabled": False} for name in ("podDisruptionBudget", "networkPolicy")}
    objects = charted({**off, "replicas": 3})
    assert {one["kind"] for one in objects} == {"Deployment", "Pod", "Service"}
    assert the(objects, "Deployment")["spec"]["replicas"] == 3


def test_keys_can_come_from_another_volume() -> None:
    """Any kind of volume can hold the keys."""
    csi = {"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}
    volumes = the(charted({"keys": {"volume": csi}}), "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "keys", **csi} in volumes


def test_an_issuer_can_have_a_volume_of_its_own() -> None:
    """A volume can be mounted at DIR/acme, beside the one with the other keys."""
    values = read_yaml((DEPLOY / "helm" / "examples" / "issuer-volume.yaml").read_text())[0]
    objects = charted(values)
    assert {"name": "acme", "mountPath": "/etc/jwks-server/keys/acme", "readOnly": True} in container(objects)[
        "volumeMounts"
    ]
    volumes = the(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "acme", "configMap": {"name": "acme-keys"}} in volumes


def test_examples_mount_private_keys_only_if_they_say_so() -> None:
    """Of the examples, one mounts a Secret as keys, and it warns; of other Secrets only the certificate is mounted."""
    for file in (DEPLOY / "helm" / "examples").iterdir():
        values = read_yaml(file.read_text())[0]
        name = values.get("fullnameOverride", "jwks-server")
        volumes = the(charted(values), "Deployment", name)["spec"]["template"]["spec"]["volumes"]
        (keys,) = [one for one in volumes if one["name"] == "keys"]
        assert ("secret" in keys) is (file.name == "private-key-secret.yaml")
        assert ("can sign tokens" in file.read_text()) is ("secret" in keys)
        secrets = [one["secret"] for one in keys.get("projected", {}).get("sources", []) if "secret" in one]
        assert {item["key"] for one in secrets for item in one["items"]} <= {"tls.crt"}


def test_schema_names_every_value() -> None:
    """The schema has each value of values.yaml and no other; a test of the option table holds ``config``."""
    schema, values = loaded_chart().schema, loaded_chart().values
    # Names that a value may have and doesn't have by default.
    optional = {"global", "group", "claims", "nodeAffinity", "podAffinity", "podAntiAffinity"}

    def compare(described: Object, given: Object, where: str) -> None:
        if described.get("additionalProperties") is False and where != "values.config":
            assert given.keys() == described["properties"].keys() - optional, where
            assert set(described["required"]) <= given.keys(), where
            for name, inner in given.items():
                compare(described["properties"][name], inner, f"{where}.{name}")

    compare(schema, values, "values")


def test_chart_is_this_version() -> None:
    """The chart and its image have the version that they were released with."""
    metadata = loaded_chart().metadata
    assert (metadata["version"], metadata["appVersion"]) == (__version__, __version__)
    assert container(charted())["image"] == f"jwks-server:{__version__}"


def test_packaged_chart_is_whole(tmp_path: Path) -> None:
    """The archive renders what the folder does: it carries the rules, which in the folder are a link."""
    archive = helm.package(CHART, destination=tmp_path)
    values = {"monitoring": {"enabled": True}}
    assert by_name(charted(values, chart=Path(archive))) == by_name(charted(values))


def test_written_files_are_current() -> None:
    """README's table and the schema's settings are what ``make reference`` writes."""
    assert (CHART / "README.md").read_text() == chart_docs.readme()
    assert (CHART / "values.schema.json").read_text() == chart_docs.schema()


def test_readme_lists_each_example() -> None:
    """The chart's README names each file of examples."""
    examples = {one.name for one in (DEPLOY / "helm" / "examples").iterdir()}
    assert set(re.findall(r"^\| `([-\w]+\.yaml)`", (CHART / "README.md").read_text(), re.MULTILINE)) == examples
