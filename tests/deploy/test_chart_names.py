"""The names and labels of the chart's objects: of releases, of aliases, and of one's own choice."""

import shutil
from pathlib import Path

import pytest
from manifests import CHART, Object, charted, the

from jwks_server import __version__

helm = pytest.importorskip("helm_python", reason="helm_python is missing: install helm-python-sdk")


def names(objects: list[Object]) -> list[tuple[str, str]]:
    """List kinds and names."""
    return [(one["kind"], one["metadata"]["name"]) for one in objects]


def test_release_has_its_own_names() -> None:
    """Two releases in one namespace don't touch each other: names and selectors differ."""
    everything = {name: {"enabled": True} for name in ("autoscaling", "monitoring", "ingress", "gateway")}
    one, other = charted(everything, "one"), charted(everything, "other")
    assert not set(names(one)) & set(names(other))
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
    assert len(set(names(objects))) == len(objects) == 2 * len(charted(everything))
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
        ("jwks-server-blue", {}, "jwks-server-blue-jwks-server"),
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
    with pytest.raises(helm.HelmError, match=r"can't be the name of the objects.*set fullnameOverride"):
        charted({}, release)
