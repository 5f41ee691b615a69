"""Sets of values, good and bad: the good ones render valid objects, and each bad one is refused with a message."""

import json
from pathlib import Path

import pytest
from chart_values import BAD, EXAMPLES, GOOD, TREACHEROUS
from manifests import Object, charted, container, the, validate, variables, walk

from jwks_server.cli import cli

helm = pytest.importorskip("helm_python", reason="helm_python is missing: install helm-python-sdk")


def named(values: Object) -> str:
    """Name the release's objects as the values do."""
    return str(values.get("fullnameOverride", "jwks-server"))


@pytest.fixture(params=GOOD)
def values(request: pytest.FixtureRequest) -> Object:
    """Take one of the good sets."""
    return GOOD[request.param]


def test_good_values_render_valid_objects(values: Object) -> None:
    """Each good set renders objects that pass Kubernetes' strict schemas, and that fit each other."""
    objects = charted(values)
    validate(objects)
    kinds = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(set(kinds)) == len(kinds)
    deployment = the(objects, "Deployment", named(values))["spec"]
    pod, labels = deployment["template"]["spec"], deployment["template"]["metadata"]["labels"]
    assert {one["name"] for one in container(objects, named(values))["volumeMounts"]} == {
        one["name"] for one in pod["volumes"]
    }
    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        for one in (one["spec"] for one in objects if one["kind"] == kind):
            selector = one.get("podSelector", one.get("selector", {}))
            assert selector.get("matchLabels", selector).items() <= labels.items()
    assert ("replicas" in deployment) is not any(kind == "HorizontalPodAutoscaler" for kind, _ in kinds)


def test_good_values_keep_pods_restricted(values: Object) -> None:
    """No value takes a pod out of the Pod Security Standard 'restricted', and the server's pods get no token."""
    objects = charted(values)
    for pod in (
        the(objects, "Deployment", named(values))["spec"]["template"],
        the(objects, "Pod", f"{named(values)}-test"),
    ):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for one in spec["containers"]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_good_values_are_settings(values: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes the variables that each good set makes, and has time to end."""
    objects = charted(values)
    found = variables(objects, named(values))
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("x")
    for name, text in found.items():
        if name.startswith("JWKS_SERVER_"):
            monkeypatch.setenv(name, str(passphrase) if name == "JWKS_SERVER_PASSPHRASE_FILE" else text)
    with cli.commands["serve"].make_context("serve", [str(tmp_path)]) as parsed:
        assert parsed.params["bind"] == (":8080",)
    needed = int(found["JWKS_SERVER_DRAIN"]) + int(found["JWKS_SERVER_SHUTDOWN_TIMEOUT"])
    deployment = the(objects, "Deployment", named(values))
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == needed + 5


@pytest.mark.parametrize(("values", "message"), BAD, ids=lambda one: json.dumps(one) if isinstance(one, dict) else "")
def test_bad_values_are_refused(values: Object, message: str) -> None:
    """Each bad set is refused, with a message that names the value, and what to do or what it may be."""
    with pytest.raises(helm.HelmError, match=message):
        charted(values)


def test_texts_stay_texts() -> None:
    """A text that YAML would read as a number, a boolean or syntax arrives as it was written."""
    objects = charted(GOOD["texts that look like something else"])
    pod = the(objects, "Deployment")["spec"]["template"]
    for metadata in (
        pod["metadata"],
        the(objects, "Service")["metadata"],
        the(objects, "ServiceAccount")["metadata"],
        the(objects, "Ingress")["metadata"],
    ):
        assert metadata["annotations"] == TREACHEROUS
    assert {"canary": "true", "team": "12345", "none": "null"}.items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["nodeSelector"] == {"disk": "true", "rack": "12345"}
    ingress = the(objects, "Ingress")["spec"]
    assert (ingress["rules"][0]["host"], ingress["tls"][0]["hosts"]) == ("*.example.com", ["*.example.com"])
    texts = [one["value"] for one in container(objects)["env"] if one["name"] == "TEXT"]
    assert texts == list(TREACHEROUS.values())
    numbered = walk(charted(GOOD["numbers for names"]))
    assert not [pair for pair in numbered if pair[1] == 12345]


def test_there_are_enough_sets() -> None:
    """Forty sets and more, good and bad, and every example is one of them."""
    assert len(GOOD) + len(BAD) >= 40
    assert EXAMPLES.keys() <= GOOD.keys()
    assert "private-key-secret" in EXAMPLES
