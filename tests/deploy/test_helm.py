"""The chart: lint, the same objects as Kustomize's, and values that can't be misspelt."""

from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from manifests import CHART, COMPONENTS, Object, charted, container, kustomized, the, variables

from jwks_server import __version__

helm = pytest.importorskip("helm_python", reason="helm_python is missing: install helm-python-sdk")

WARNING = 2
# What turns on in the chart what a component adds to the base.
VALUES: dict[str, Object] = {
    "cert-manager": {"certManager": {"enabled": True}},
    "gateway-api": {"gateway": {"enabled": True}},
    "ingress": {"ingress": {"enabled": True}},
    "prometheus-operator": {"monitoring": {"enabled": True}},
}
# Labels by which Helm tells releases apart; Kustomize has nothing to tell apart.
HELM_LABELS = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)
# What the chart says and the base leaves to its default, and the other way round: the autoscaler owns the number.
DIFFERENT = {"imagePullPolicy", "replicas"}


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
    """Order objects by kind and name."""
    return {(one["kind"], one["metadata"]["name"]): essence(one) for one in objects}


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


def test_release_has_its_own_names() -> None:
    """Two releases in one namespace don't touch each other: names and selectors differ."""
    everything = {
        name: value for one in ("prometheus-operator", "ingress", "gateway-api") for name, value in VALUES[one].items()
    }
    one, other = charted(everything, "one"), charted(everything, "other")
    assert not by_name(one).keys() & by_name(other).keys()
    for objects, name in ((one, "one"), (other, "other")):
        assert the(objects, "Deployment", name)["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == name
        assert the(objects, "Service", name)["spec"]["selector"]["app.kubernetes.io/instance"] == name
        assert (
            the(objects, "Ingress", name)["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == name
        )


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


def test_listeners_can_be_ipv6() -> None:
    """One value moves both listeners to the other family."""
    found = variables(charted({"address": "[::]"}))
    assert (found["JWKS_SERVER_BIND"], found["JWKS_SERVER_ADMIN_BIND"]) == ("[::]:8080", "[::]:8081")


def test_parts_can_be_turned_off() -> None:
    """What a cluster doesn't have can be left out, and then the number of pods is the chart's."""
    off = {name: {"enabled": False} for name in ("autoscaling", "podDisruptionBudget", "networkPolicy")}
    objects = charted({**off, "replicas": 3})
    assert {one["kind"] for one in objects} == {"Deployment", "Service"}
    assert the(objects, "Deployment")["spec"]["replicas"] == 3


def test_keys_can_come_from_another_volume() -> None:
    """Any kind of volume can hold the keys."""
    csi = {"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}
    volumes = the(charted({"keys": {"volume": csi}}), "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "keys", **csi} in volumes


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replica": 3}, "replica"),
        ({"replicas": "3"}, "/replicas"),
        ({"config": {"BIND": "0.0.0.0:80"}}, "/config/BIND"),
        ({"config": {"max-age": 60}}, "max-age"),
        ({"config": {"DRAIN": "5s"}}, "/config/DRAIN"),
        ({"config": {"MAXAGE": 60}}, "MAXAGE"),
        ({"config": {"KID": "random"}}, "/config/KID"),
        ({"keys": {"secretName": "Not A Name"}}, "/keys/secretName"),
        ({"address": "localhost"}, "/address"),
        ({"monitoring": {"enabled": "yes"}}, "/monitoring/enabled"),
        ({"gateway": {"parentRefs": []}}, "/gateway/parentRefs"),
    ],
)
def test_wrong_values_are_refused(values: Object, named: str) -> None:
    """A misspelt or impossible value is refused by name."""
    with pytest.raises(helm.HelmError, match=named):
        charted(values)


@pytest.mark.parametrize("side", ["ingress", "gateway"])
def test_tls_ends_once(side: str) -> None:
    """TLS in the pods and TLS before them don't go together, and the chart says so."""
    with pytest.raises(helm.HelmError, match="enable only one of the two"):
        charted({"certManager": {"enabled": True}, side: {"enabled": True}})


def test_schema_names_every_value() -> None:
    """The schema has each value of values.yaml and no other; a test of the option table holds ``config``."""
    with helm.Chart.load(CHART) as chart:
        schema, values = chart.schema, chart.values
    assert schema is not None

    def compare(described: Object, given: Object, where: str) -> None:
        if described.get("additionalProperties") is False and where != "values.config":
            assert given.keys() == described["properties"].keys() - {"global", "group"}, where
            for name, inner in given.items():
                compare(described["properties"][name], inner, f"{where}.{name}")

    compare(schema, values, "values")


def test_chart_is_this_version() -> None:
    """The chart and its image have the version that they were released with."""
    with helm.Chart.load(CHART) as chart:
        assert (chart.metadata["version"], chart.metadata["appVersion"]) == (__version__, __version__)
    assert container(charted())["image"] == f"jwks-server:{__version__}"


def test_packaged_chart_is_whole(tmp_path: Path) -> None:
    """The archive renders what the folder does: it carries the rules, which in the folder are a link."""
    archive = helm.package(CHART, destination=tmp_path)
    values = {"monitoring": {"enabled": True}}
    assert by_name(charted(values, chart=Path(archive))) == by_name(charted(values))
