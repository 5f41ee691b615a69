"""Sets of values for the chart, good and bad; the examples are among the good ones."""

from manifests import DEPLOY, Object, read_yaml

from jwks_server.options.option import Option
from jwks_server.options.table import SERVE

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
    given = {
        "--max-connections": 1000,
        "--path": "/keys",
        "--media-type": "application/jwk-set+json",
        "--unix-mode": "600",
        "--pattern": "*.pem x",
        "--trusted-proxy": "10.0.0.0/8 unix",
    }
    if option.type is None:
        return True
    if option.choices:
        return " ".join(option.choices) if option.repeatable else option.choices[-1]
    return option.default if isinstance(option.default, int | float) else given.get(option.flag, "7")


# The chart sets the listeners, the state and the certificate; a passphrase's file must be there.
SETTABLE = [
    one for one in SERVE if one.flag[2:].partition("-")[0] not in {"bind", "admin", "state", "tls", "passphrase"}
]
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
    (
        {
            "extraVolumes": [VOLUME],
            "extraVolumeMounts": [{"name": "acme", "mountPath": "/etc/jwks-server/keys/acme", "subPath": "a"}],
        },
        "subPath at /etc/jwks-server/keys/acme, which Kubernetes never updates; mount the whole volume",
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
