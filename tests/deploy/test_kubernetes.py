"""The Kustomize base, its components and the example overlay."""

import functools
import re
from pathlib import Path

import pytest
from manifests import (
    COMPONENTS,
    CUSTOM,
    DEPLOY,
    Object,
    container,
    kustomize,
    kustomized,
    the,
    validate,
    variables,
    walk,
)
from support import ROOT

from jwks_server import __version__
from jwks_server.cli import cli

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="install the extra deploy")

COMBINATIONS = [(), *((one,) for one in COMPONENTS), ("prometheus-operator", "ingress", "gateway-api", "autoscaling")]


@pytest.fixture(params=[*COMBINATIONS, "example"], ids=str)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    """Build the base with components, or the example."""
    return example() if request.param == "example" else kustomized(*request.param)


@functools.cache
def example() -> list[Object]:
    """Build the example overlay."""
    return kustomize(DEPLOY / "kubernetes" / "overlays" / "example")


def test_objects_are_valid(objects: list[Object]) -> None:
    """Every built-in kind passes its strict schema, in the oldest Kubernetes that is supported and in the newest."""
    validate(objects, kubernetes_validate.latest_version())


def test_names_meet(objects: list[Object]) -> None:
    """Selectors find the pods, and names of ports, volumes, Services and targets are those of something that exists."""
    deployment = the(objects, "Deployment")["spec"]
    pod, labels = deployment["template"]["spec"], deployment["template"]["metadata"]["labels"].items()
    ports = {one["name"] for one in container(objects)["ports"]}
    for name, value in walk(objects):
        if name in ("matchLabels", "selector", "podSelector") and "app.kubernetes.io/component" not in str(value):
            selector = value.get("matchLabels", value)
            assert selector.get("kubernetes.io/metadata.name") or (selector and selector.items() <= labels)
        if name in ("port", "targetPort") and isinstance(value, str):
            assert value in ports
    mounts = {one["name"] for one in container(objects)["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}


def test_pods_are_restricted(objects: list[Object]) -> None:
    """The pod is what the Pod Security Standard 'restricted' asks for, and its root file system is read-only."""
    pod = the(objects, "Deployment")["spec"]["template"]["spec"]
    security = container(objects)["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert {kind for one in pod["volumes"] for kind in one if kind != "name"} <= {"configMap", "secret", "emptyDir"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["automountServiceAccountToken"] is False


def test_keys_are_readable_to_the_server_alone(objects: list[Object]) -> None:
    """Secrets are mounted whole, read-only, for the server's group and nobody else."""
    pod = the(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    secrets = [one for one in pod["volumes"] if "secret" in one]
    assert {one["secret"]["defaultMode"] for one in secrets} <= {0o440}
    for mount in container(objects)["volumeMounts"]:
        assert "subPath" not in mount
        assert mount["name"] == "state" or mount["readOnly"]


def test_variables_are_flags(objects: list[Object]) -> None:
    """Every variable is one that ``serve`` reads, and no variable of a Service gets in between."""
    known = {one.envvar for one in cli.commands["serve"].params}
    assert variables(objects).keys() <= known
    assert the(objects, "Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_settings_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """``serve`` takes every value."""
    for name, value in variables(kustomized()).items():
        monkeypatch.setenv(name, value)
    with cli.commands["serve"].make_context("serve", container(kustomized())["args"][1:]) as parsed:
        assert parsed.params["log_format"] == "json"


def test_addresses_are_the_ports(objects: list[Object]) -> None:
    """The server listens on the ports that the container declares, and keeps its state in a volume."""
    ports = {one["name"]: one["containerPort"] for one in container(objects)["ports"]}
    set_to = variables(objects)
    assert set_to["JWKS_SERVER_BIND"] == f":{ports['public']}"
    assert set_to["JWKS_SERVER_ADMIN_BIND"] == f":{ports['admin']}"
    mounts = {one["mountPath"] for one in container(objects)["volumeMounts"]}
    for name in ("JWKS_SERVER_STATE", "JWKS_SERVER_TLS_CERT", "JWKS_SERVER_TLS_KEY"):
        assert name not in set_to or str(Path(set_to[name]).parent) in mounts
    assert container(objects)["args"] == ["serve", "/etc/jwks-server/keys"]
    assert "/etc/jwks-server/keys" in mounts


def test_there_is_time_to_end(objects: list[Object]) -> None:
    """Kubernetes kills a pod only after it had time to drain and to finish."""
    set_to = variables(objects)
    needed = float(set_to["JWKS_SERVER_DRAIN"]) + float(set_to["JWKS_SERVER_SHUTDOWN_TIMEOUT"])
    assert the(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed


def test_probes_ask_the_admin_listener(objects: list[Object]) -> None:
    """Liveness is /livez and readiness /readyz, both away from the public port."""
    probes = {name: value["httpGet"] for name, value in container(objects).items() if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "admin"},
        "livenessProbe": {"path": "/livez", "port": "admin"},
        "readinessProbe": {"path": "/readyz", "port": "admin"},
    }


def test_admin_port_is_closed_but_to_monitoring(objects: list[Object]) -> None:
    """The public Service has no admin port, and the policy opens it to one namespace at most; nothing goes out."""
    assert [one["name"] for one in the(objects, "Service")["spec"]["ports"]] == ["public"]
    policy = the(objects, "NetworkPolicy")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "egress" not in policy
    for rule in policy["ingress"]:
        opened = {one["port"] for one in rule["ports"]}
        assert opened == {"public"} or (opened == {"admin"} and rule["from"])


def test_routes_lead_to_the_service(objects: list[Object]) -> None:
    """Ingress and HTTPRoute name the public Service and a port of it."""
    (port,) = the(objects, "Service")["spec"]["ports"]
    for one in objects:
        if one["kind"] == "Ingress":
            (path,) = one["spec"]["rules"][0]["http"]["paths"]
            assert path["backend"]["service"] == {"name": "jwks-server", "port": {"name": port["name"]}}
        if one["kind"] == "HTTPRoute":
            assert one["spec"]["rules"][0]["backendRefs"] == [{"name": "jwks-server", "port": port["port"]}]


def test_monitor_finds_the_admin_service() -> None:
    """The ServiceMonitor selects the admin Service alone, by labels and by the name of its port."""
    objects = kustomized("prometheus-operator")
    monitor = the(objects, "ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    services = [one for one in objects if one["kind"] == "Service" and wanted <= one["metadata"]["labels"].items()]
    assert [one["metadata"]["name"] for one in services] == ["jwks-server-admin"]
    assert [one["port"] for one in monitor["endpoints"]] == [one["name"] for one in services[0]["spec"]["ports"]]


def test_certificate_is_what_the_pods_serve() -> None:
    """The Secret that cert-manager writes is the one that is mounted, and the Service says https."""
    objects = kustomized("cert-manager")
    secret = the(objects, "Certificate", "jwks-server-tls")["spec"]["secretName"]
    volumes = the(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert secret in [one["secret"]["secretName"] for one in volumes if "secret" in one]
    assert the(objects, "Service")["spec"]["ports"] == [
        {"name": "public", "port": 443, "targetPort": "public", "appProtocol": "https"}
    ]


def test_image_is_this_version() -> None:
    """The manifests run the version that they were released with."""
    assert container(kustomized())["image"] == f"jwks-server:{__version__}"


def test_the_keys_are_public_halves_unless_asked() -> None:
    """The base mounts a ConfigMap, so the pod sees no private key; private-keys mounts a Secret instead."""
    for components, kind in (((), "configMap"), (("private-keys",), "secret")):
        volumes = the(kustomized(*components), "Deployment")["spec"]["template"]["spec"]["volumes"]
        (keys,) = [one for one in volumes if one["name"] == "keys"]
        assert keys.keys() == {"name", kind}
        assert "jwks-keys" in keys[kind].values()


def test_one_of_them_sets_the_number_of_pods(objects: list[Object]) -> None:
    """An autoscaler and a fixed number of replicas never stand beside each other."""
    scalers = [one["spec"] for one in objects if one["kind"] == "HorizontalPodAutoscaler"]
    assert ("replicas" in the(objects, "Deployment")["spec"]) is not bool(scalers)
    for one in scalers:
        assert one["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "jwks-server"}
        assert 1 < one["minReplicas"] <= one["maxReplicas"]


def test_example_applies_to_any_cluster() -> None:
    """The example has built-in kinds only, all in the namespace that is created before it."""
    objects = example()
    assert not {one["kind"] for one in objects} & CUSTOM
    groups = {one["apiVersion"].rpartition("/")[0] for one in objects}
    assert groups <= {"", "apps", "autoscaling", "networking.k8s.io", "policy"}
    assert {one["metadata"]["namespace"] for one in objects} == {"jwks"}


def test_tutorial_creates_what_the_example_needs_first() -> None:
    """The tutorial's commands create the namespace, then the keys that the pods mount, then the rest."""
    tutorial = (ROOT / "docs" / "tutorials" / "kubernetes-from-zero.md").read_text()
    volumes = the(example(), "Deployment")["spec"]["template"]["spec"]["volumes"]
    keys = next(one["configMap"]["name"] for one in volumes if "configMap" in one)
    steps = [
        "kubectl create namespace jwks\n",
        f"kubectl create configmap {keys} --namespace jwks --from-file=public/\n",
        "kubectl apply --kustomize deploy/kubernetes/overlays/example\n",
    ]
    places = [tutorial.index(one) for one in steps]
    assert places == sorted(places)


def test_example_changes_what_it_says() -> None:
    """The overlay's patches find their objects: the image and a setting of the server."""
    objects = example()
    assert container(objects)["image"] == f"registry.example.com/jwks-server:{__version__}"
    assert variables(objects)["JWKS_SERVER_RETAIN"] == "7200"


def test_example_names_every_component() -> None:
    """Each component can be turned on by taking away a comment sign, and is there."""
    text = (DEPLOY / "kubernetes" / "overlays" / "example" / "kustomization.yaml").read_text()
    assert sorted(re.findall(r"^#   - \.\./\.\./components/([-\w]+)", text, re.MULTILINE)) == sorted(COMPONENTS)
    assert sorted(one.name for one in (DEPLOY / "kubernetes" / "components").iterdir()) == sorted(COMPONENTS)
