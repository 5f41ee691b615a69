"""Sets of values, good and bad: the good ones render valid objects, and each bad one is refused with a message."""

import json
from pathlib import Path

import pytest
from manifests import DEPLOY, Object, charted, container, read_yaml, the, validate, variables, walk

from jwks_server.cli import cli
from jwks_server.options.option import Option
from jwks_server.options.table import SERVE

helm = pytest.importorskip("helm_python", reason="helm_python is missing: install helm-python-sdk")

EXAMPLES = {one.stem: read_yaml(one.read_text())[0] for one in sorted((DEPLOY / "helm" / "examples").glob("*.yaml"))}
# Texts that YAML would read as something else if they stood there without quotes.
TREACHEROUS = {"a": "true", "b": "12345", "c": "1e3", "d": "null", "e": "- x: {", "f": "*.example.com", "g": "a: b #c"}
AFFINITY = {
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 1,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "jwks-server"}},
                },
            }
        ]
    }
}
SPREAD = {"topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}


def any_value(option: Option) -> object:
    """Choose a value that the option takes, as the values file would have it."""
    given = {"--max-connections": 1000, "--path": "/keys", "--media-type": "application/jwk-set+json", "--unix-mode": "600", "--pattern": "*.pem x"}
    if option.type is None:
        return True
    if option.choices:
        return " ".join(option.choices) if option.repeatable else option.choices[-1]
    return option.default if isinstance(option.default, int | float) else given.get(option.flag, "7")


# The chart sets the listeners, the state and the certificate; a passphrase's file must be there.
SETTABLE = [one for one in SERVE if one.flag[2:].partition("-")[0] not in {"bind", "admin", "state", "tls", "passphrase"}]
EVERY_SETTING = {str(one.variable).removeprefix("JWKS_SERVER_"): any_value(one) for one in SETTABLE}

GOOD: dict[str, Object] = {
    **EXAMPLES,
    "default": {},
    "every setting": {"config": {**EVERY_SETTING, "DRAIN": 30, "SHUTDOWN_TIMEOUT": 60}},
    "log level in capitals": {"config": {"LOG_LEVEL": "WARNING"}},
    "log level in small letters": {"config": {"LOG_LEVEL": "debug"}},
    "no time to drain": {"config": {"DRAIN": 0, "SHUTDOWN_TIMEOUT": 0}},
    "one pod": {"replicas": 1},
    "one pod, by per cent": {"replicas": 1, "podDisruptionBudget": {"maxUnavailable": "50%"}},
    "no pod": {"replicas": 0, "podDisruptionBudget": {"minAvailable": 1}},
    "budget by what must stay": {"podDisruptionBudget": {"minAvailable": 1}},
    "budget of many pods": {"replicas": 10, "podDisruptionBudget": {"maxUnavailable": "25%"}},
    "autoscaling": {"autoscaling": {"enabled": True}},
    "autoscaling to one number": {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 3}},
    "numbers for names": {
        "keys": {"name": "12345"},
        "image": {"tag": "12345", "pullSecrets": ["12345"]},
        "serviceAccount": {"name": "12345"},
        "priorityClassName": "12345",
        "ingress": {"enabled": True, "tlsSecretName": "12345", "className": "12345", "host": "12345.example.com"},
        "monitoring": {"enabled": True, "namespace": "12345"},
    },
    "texts that look like something else": {
        "podAnnotations": TREACHEROUS,
        "service": {"annotations": TREACHEROUS},
        "serviceAccount": {"create": True, "annotations": TREACHEROUS},
        "ingress": {"enabled": True, "host": "*.example.com", "annotations": TREACHEROUS},
        "nodeSelector": {"disk": "true", "rack": "12345"},
        "podLabels": {"canary": "true", "team": "12345", "none": "null"},
        "extraEnv": [{"name": "TEXT", "value": text} for text in TREACHEROUS.values()],
    },
    "digest": {"image": {"tag": "1.0", "digest": f"sha256:{'0a' * 32}"}},
    "registry with a port": {"image": {"repository": "registry.example.com:5000/a/b", "tag": "1.0"}},
    "other names": {"nameOverride": "keys", "fullnameOverride": "acme-keys"},
    "service account": {"serviceAccount": {"create": True, "name": "reader"}},
    "scheduling": {"affinity": AFFINITY, "topologySpreadConstraints": [SPREAD], "priorityClassName": "high"},
    "dual stack": {"service": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}},
    "IPv6 only": {"service": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}},
    "load balancer": {"service": {"type": "LoadBalancer"}},
    "keys from a driver": {"keys": {"volume": {"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}}},
    "passphrase from a Secret": {
        "config": {"PASSPHRASE_FILE": "/passphrase/text"},
        "extraVolumes": [{"name": "passphrase", "secret": {"secretName": "passphrase"}}],
        "extraVolumeMounts": [{"name": "passphrase", "mountPath": "/passphrase", "readOnly": True}],
    },
    "variable from a Secret": {
        "extraEnv": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
    },
    "TLS from a Secret": {"tls": {"secretName": "certificate"}},
    "Prometheus by Service": {"monitoring": {"enabled": True, "labels": {"release": "12345"}}},
    "Prometheus by pod, without alerts": {
        "monitoring": {"enabled": True, "kind": "PodMonitor"},
        "alerts": {"enabled": False},
    },
    "gateway": {"gateway": {"enabled": True, "hostnames": ["*.example.com"], "parentRefs": [{"name": "12345"}]}},
    "nothing beside the pods": {"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}},
    "global": {"global": {"imageRegistry": "a parent chart's"}},
}
AUTOSCALED = {"autoscaling": {"enabled": True}}
VOLUME = {"name": "acme", "configMap": {"name": "acme"}}
BAD: list[tuple[Object, str]] = [
    ({"replica": 3}, "replica"),
    ({"replicas": "3"}, "/replicas"),
    ({"replicas": -1}, "/replicas"),
    ({"replicas": None}, "replicas"),
    ({"config": {"BIND": "0.0.0.0:80"}}, "BIND"),
    ({"config": {"max-age": 60}}, "max-age"),
    ({"config": {"MAXAGE": 60}}, "MAXAGE"),
    ({"config": {"MAX_AGE": "600"}}, "/config/MAX_AGE.*want integer"),
    ({"config": {"MAX_AGE": -1}}, "/config/MAX_AGE"),
    ({"config": {"MAX_AGE": 1.5}}, "/config/MAX_AGE"),
    ({"config": {"DRAIN": "5s"}}, "/config/DRAIN"),
    ({"config": {"DRAIN": None}}, "DRAIN"),
    ({"config": {"KID": "random"}}, "/config/KID"),
    ({"config": {"LOG_LEVEL": "verbose"}}, "/config/LOG_LEVEL.*'debug'.*'DEBUG'"),
    ({"config": {"LOG_FORMAT": "JSON"}}, "/config/LOG_FORMAT"),
    ({"config": {"ACCESS_LOG": "yes"}}, "/config/ACCESS_LOG.*want boolean"),
    ({"config": {"ALLOW": "Ed448, secp256k1"}}, "/config/ALLOW"),
    ({"config": {"ALLOW": ["Ed448"]}}, "/config/ALLOW.*want string"),
    ({"config": {"PATH": "keys.json"}}, "/config/PATH"),
    ({"config": {"PATTERN": ""}}, "/config/PATTERN"),
    ({"config": {"UNIX_MODE": 0o660}}, "/config/UNIX_MODE.*want string"),
    ({"keys": {"name": "Not A Name"}}, "/keys/name"),
    ({"keys": {"kind": "PersistentVolume"}}, "/keys/kind"),
    ({"keys": {"volume": {"name": "keys", "emptyDir": {}}}}, "/keys/volume"),
    ({"image": {"tag": 12345}}, "/image/tag.*want string"),
    ({"image": {"tag": "a tag"}}, "/image/tag"),
    ({"image": {"digest": "0123abcd"}}, "/image/digest"),
    ({"nameOverride": "Upper"}, "/nameOverride"),
    ({"fullnameOverride": "9keys"}, "9keys can't be the name of the objects.*set fullnameOverride"),
    ({"fullnameOverride": "a" * 58}, "/fullnameOverride"),
    ({"podLabels": {"canary": True}}, "/podLabels/canary.*want string"),
    ({"podLabels": {"app.kubernetes.io/name": "other"}}, "podLabels has app.kubernetes.io/name.*leave it out"),
    ({"podAnnotations": {"port": 8081}}, "/podAnnotations/port.*want string"),
    ({"affinity": {"nodeAffinities": {}}}, "nodeAffinities"),
    ({"resources": {"limits": {"memory": "256MB"}}}, "/resources/limits/memory"),
    ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "/topologySpreadConstraints/0"),
    ({"service": {"type": "ExternalName"}}, "/service/type"),
    ({"service": {"ipFamilies": ["IPv5"]}}, "/service/ipFamilies/0"),
    ({"serviceAccount": {"annotations": {"a": "b"}}}, "set serviceAccount.create"),
    ({"extraEnv": [{"name": "JWKS_SERVER_MAX_AGE", "value": "60"}]}, "write it into config as MAX_AGE"),
    ({"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value.*want string"),
    ({"extraVolumes": [{**VOLUME, "name": "keys"}]}, "extraVolumes has keys.*choose another"),
    ({"extraVolumes": [VOLUME, VOLUME]}, "extraVolumes has acme.*choose another"),
    ({"extraVolumes": [{"name": "acme"}]}, "/extraVolumes/0"),
    ({"extraVolumeMounts": [{"name": "acme", "mountPath": "/a"}]}, "acme, which extraVolumes doesn't have; add it"),
    (
        {"extraVolumes": [VOLUME], "extraVolumeMounts": [{"name": "acme", "mountPath": "/etc/jwks-server/keys/"}]},
        "/etc/jwks-server/keys, where another volume is mounted; choose another path",
    ),
    ({"autoscaling": {"enabled": True, "minReplicas": 7}}, "minReplicas is 7, more than maxReplicas; lower it"),
    ({"autoscaling": {"enabled": True, "minReplicas": 0}}, "/autoscaling/minReplicas"),
    ({**AUTOSCALED, "resources": {"requests": {"cpu": None}}}, "set resources.requests.cpu"),
    ({"podDisruptionBudget": {"minAvailable": 2}}, "minAvailable is 2 of 2 pods.*lower it"),
    ({"podDisruptionBudget": {"minAvailable": "51%"}}, "minAvailable is 51% of 2 pods.*lower it"),
    ({"replicas": 1, "podDisruptionBudget": {"minAvailable": 1}}, "minAvailable is 1 of 1 pods.*use maxUnavailable"),
    ({**AUTOSCALED, "podDisruptionBudget": {"minAvailable": 3}}, "minAvailable is 3 of 2 pods"),
    ({"podDisruptionBudget": {"maxUnavailable": 2}}, "maxUnavailable is 2 of 2 pods.*lower it"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
    ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "/podDisruptionBudget/maxUnavailable"),
    ({"tls": {"secretName": "Not A Name"}}, "/tls/secretName"),
    ({"certManager": {"enabled": True}, "tls": {"secretName": "a"}}, "leave tls.secretName empty"),
    ({"certManager": {"enabled": True}, "ingress": {"enabled": True}}, "enable only one of the two"),
    ({"certManager": {"enabled": True}, "gateway": {"enabled": True}}, "enable only one of the two"),
    ({"tls": {"secretName": "a"}, "ingress": {"enabled": True}}, "enable only one of the two"),
    ({"certManager": {"dnsNames": ["https://a"]}}, "/certManager/dnsNames/0"),
    ({"monitoring": {"enabled": "yes"}}, "/monitoring/enabled.*want boolean"),
    ({"monitoring": {"kind": "Probe"}}, "/monitoring/kind"),
    ({"monitoring": {"interval": "30"}}, "/monitoring/interval"),
    ({"alerts": {"runbookBaseUrl": "wiki/runbooks"}}, "/alerts/runbookBaseUrl"),
    ({"ingress": {"host": "https://keys.example.com"}}, "/ingress/host"),
    ({"gateway": {"parentRefs": []}}, "/gateway/parentRefs"),
    ({"test": {"path": "jwks.json"}}, "/test/path"),
]


def named(values: Object) -> str:
    """Name the release's objects as the values do."""
    return str(values.get("fullnameOverride", "jwks-server"))


@pytest.fixture(params=GOOD.values(), ids=GOOD)
def values(request: pytest.FixtureRequest) -> Object:
    """Take one of the good sets."""
    given: Object = request.param
    return given


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
            selector = one.get("podSelector", one["selector"] if "selector" in one else {})
            assert selector.get("matchLabels", selector).items() <= labels.items()
    assert ("replicas" in deployment) is not any(kind == "HorizontalPodAutoscaler" for kind, _ in kinds)


def test_good_values_keep_pods_restricted(values: Object) -> None:
    """No value takes a pod out of the Pod Security Standard 'restricted', and the server's pods get no token."""
    objects = charted(values)
    for pod in (the(objects, "Deployment", named(values))["spec"]["template"], the(objects, "Pod", f"{named(values)}-test")):
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


def test_good_values_are_settings(
    values: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert not [pair for pair in numbered if pair[1] == 12345]  # noqa: PLR2004 - the number that the text is not


def test_there_are_enough_sets() -> None:
    """Forty sets and more, good and bad, and every example is one of them."""
    assert len(GOOD) + len(BAD) >= 40  # noqa: PLR2004 - what was promised
    assert EXAMPLES.keys() <= GOOD.keys()
    assert "private-key-secret" in EXAMPLES
