"""The chart: lint, the same objects as Kustomize's, names, tests of a release, and what is written from values.yaml."""

import asyncio
import re
import shutil
import socket
import sys
from asyncio.subprocess import PIPE
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
from support import HANG_SECONDS, key, public_pem, serving

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


def test_release_has_its_own_names() -> None:
    """Two releases in one namespace don't touch each other: names and selectors differ."""
    everything = {
        name: value for one in ("prometheus-operator", "ingress", "gateway-api") for name, value in VALUES[one].items()
    }
    one, other = charted(everything, "one"), charted(everything, "other")
    assert not by_name(one).keys() & by_name(other).keys()
    for objects, release in ((one, "one"), (other, "other")):
        name = f"{release}-jwks-server"
        labels = {"app.kubernetes.io/name": "jwks-server", "app.kubernetes.io/instance": release}
        assert the(objects, "Deployment", name)["spec"]["selector"]["matchLabels"] == labels
        assert the(objects, "Service", name)["spec"]["selector"] == labels
        assert (
            the(objects, "Ingress", name)["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == name
        )


def parent(folder: Path, *aliases: str) -> Path:
    """Write a chart that has this one as a part of it under each alias."""
    entry = f"name: jwks-server\n    version: {__version__}\n    repository: ''\n    alias: "
    folder.mkdir()
    (folder / "Chart.yaml").write_text(
        "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies:\n"
        + "".join(f"  - {entry}{alias}\n" for alias in aliases)
    )
    shutil.copytree(CHART, folder / "charts" / "jwks-server")
    return folder


@pytest.mark.parametrize("release", ["keys-prod", "one", "acme"])
def test_two_aliases_in_a_release_have_their_own_names(release: str, tmp_path: Path) -> None:
    """A chart with this one in it twice gets two of everything, and no Service finds the other's pods."""
    aliases = ("keys", "prod") if release == "keys-prod" else ("acme", "globex")
    chart = parent(tmp_path / "parent", *aliases)
    everything = {"monitoring": {"enabled": True}, "serviceAccount": {"create": True}}
    objects = charted(dict.fromkeys(aliases, everything), release, chart)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names) == 2 * len(charted(everything))
    pods = [one["spec"]["template"]["metadata"]["labels"].items() for one in objects if one["kind"] == "Deployment"]
    pods += [one["metadata"]["labels"].items() for one in objects if one["kind"] == "Pod"]
    for one in objects:
        if one["kind"] == "Service":
            assert len([labels for labels in pods if one["spec"]["selector"].items() <= labels]) == 1


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("jwks-server", {}, "jwks-server"),
        ("one", {}, "one-jwks-server"),
        ("one", {"nameOverride": "keys"}, "one-keys"),
        ("one", {"nameOverride": "keys", "fullnameOverride": "acme"}, "acme"),
        ("12345", {"fullnameOverride": "acme"}, "acme"),
    ],
)
def test_names_can_be_chosen(release: str, values: Object, name: str) -> None:
    """The objects are named after release and chart, or as the values say."""
    objects = charted(values, release)
    assert {one["metadata"]["name"] for one in objects} == {name, f"{name}-test"}
    selector = the(objects, "Service", name)["spec"]["selector"]
    expected = {
        "app.kubernetes.io/name": values.get("nameOverride", "jwks-server"),
        "app.kubernetes.io/instance": release,
    }
    assert selector == expected


@pytest.mark.parametrize("release", ["12345", "a.b", "a" * 53])
def test_a_name_that_no_service_can_have_is_refused(release: str) -> None:
    """Helm allows more names for a release than Kubernetes for a Service; the chart says so and names the way out."""
    with pytest.raises(helm.HelmError, match="can't be the name of the objects.*set fullnameOverride"):
        charted({}, release)


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


async def ask(address: str, path: str, host: str) -> bytes:
    """Send a request to an address as the log names it, and give the reply's status line."""
    name, _, port = address.rpartition(":")
    async with asyncio.timeout(HANG_SECONDS):
        reader, writer = await asyncio.open_connection(name.strip("[]"), int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        reply = await reader.read()
        writer.close()
        await writer.wait_closed()
    return reply.partition(b"\r\n")[0]


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_a_pod_answers_at_both_families(tmp_path: Path) -> None:
    """With the chart's addresses, the server listens at IPv4 and IPv6, and takes probes that name the pod's address."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    pod = container(charted())
    bind, admin = (variables(charted())[f"JWKS_SERVER_{name}"] for name in ("BIND", "ADMIN_BIND"))
    # On free ports, the same but for the port.
    flags = ("--bind", bind.replace("8080", "0"), "--admin-bind", admin.replace("8081", "0"))
    async with serving(tmp_path, *flags) as running:
        while len([one for one in running.logs if one["event"] == "listening"]) < len(["127.0.0.1", *"46", *"46"]):
            await running.log("listening")
        places = {(one["listener"], one["address"]) for one in running.logs if one["event"] == "listening"}
        for family, pod_ip in (("0.0.0.0:", "10.1.2.3"), ("[::]:", "[fd00::7]")):  # noqa: S104 - as the log writes it
            listeners = {listener: address for listener, address in places if address.startswith(family)}
            assert listeners.keys() == {"admin", "public"}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = pod[probe]["httpGet"]["path"]
                assert await ask(listeners["admin"], path, f"{pod_ip}:8081") == b"HTTP/1.1 200 OK"
            path = "/.well-known/jwks.json"
            assert await ask(listeners["public"], path, "jwks-server.jwks.svc") == b"HTTP/1.1 200 OK"


async def test_helm_test_asks_for_the_keys(tmp_path: Path) -> None:
    """The pod of ``helm test`` succeeds where the key set is served, and fails where it isn't."""
    (tmp_path / "a.pem").write_bytes(public_pem(key("P-256")))
    (only,) = the(charted(), "Pod", "jwks-server-test")["spec"]["containers"]
    assert only["image"] == container(charted())["image"]
    *script, url = only["args"]
    assert url == "http://jwks-server.default.svc/.well-known/jwks.json"
    async with serving(tmp_path) as running:
        for target, code in ((running.url, 0), (running.url + "x", 1)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, *only["command"][1:], *script, target, stdout=PIPE, stderr=PIPE
            )
            out, err = await process.communicate()
            assert process.returncode == code, err
            assert (out == f"{target} has 1 keys.\n".encode()) is (code == 0)


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"config": {"PATH": "/keys"}}, "http://jwks-server.default.svc/keys"),
        ({"test": {"path": "/acme/keys"}}, "http://jwks-server.default.svc/acme/keys"),
        ({"tls": {"secretName": "a"}}, "https://jwks-server.default.svc/.well-known/jwks.json"),
    ],
)
def test_helm_test_asks_at_the_right_place(values: Object, url: str) -> None:
    """The test's pod is a hook, asks where the values put the key set, and reads the Secret's CA at most."""
    pod = the(charted(values), "Pod", "jwks-server-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["containers"][0]["args"][-1] == url
    volumes = pod["spec"].get("volumes", [])
    assert [one["secret"]["items"] for one in volumes] == [[{"key": "ca.crt", "path": "ca.crt"}]] * len(volumes)
    assert bool(volumes) is url.startswith("https:")


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
    """README's table and the schema's settings are what ``python tests/chart_docs.py`` writes."""
    assert (CHART / "README.md").read_text() == chart_docs.readme()
    assert (CHART / "values.schema.json").read_text() == chart_docs.schema()


def test_readme_lists_each_example() -> None:
    """The chart's README names each file of examples."""
    examples = {one.name for one in (DEPLOY / "helm" / "examples").iterdir()}
    assert set(re.findall(r"^\| `([-\w]+\.yaml)`", (CHART / "README.md").read_text(), re.MULTILINE)) == examples
