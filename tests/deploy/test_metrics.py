"""Every metric that a rule or the dashboard asks for is one that the server declares, with the labels asked for."""

import json
import re
from collections.abc import Iterator

import aiohttp
from manifests import DEPLOY, read_yaml, walk
from support import ROOT, Running, serving

NAME = re.compile(r"\b(?:jwks_server|process)_[a-z_]+")
SELECTOR = re.compile(r"\b((?:jwks_server|process)_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
# Prometheus gives these to everything that it scrapes.
TARGET_LABELS = {"job", "namespace", "instance"}
SUFFIXES = {"summary": ("_sum", "_count"), "histogram": ("_sum", "_count", "_bucket"), "counter": ("", "_total")}


def expressions() -> Iterator[str]:
    """List the expressions of the rules and of the dashboard, with what fills its variables."""
    for source in (read_yaml((DEPLOY / "prometheus" / "rules.yaml").read_text()), json.loads(dashboard())):
        for name, value in walk(source):
            if name == "expr" or (name == "query" and "(" in str(value)):
                yield value if isinstance(value, str) else value["query"]


def dashboard() -> str:
    """Read the dashboard."""
    return (DEPLOY / "grafana" / "dashboard.json").read_text()


async def metrics(server: Running) -> str:
    """Fetch /metrics from the admin listener, whose address the log tells."""
    seen = [one for one in server.logs if one["event"] == "listening" and one.get("listener") == "admin"]
    address = (seen[0] if seen else await server.log("listening", listener="admin"))["address"]
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url) as warm,
        session.get(f"http://{address}/metrics") as reply,
    ):
        assert (warm.status, reply.status) == (200, 200)
        return await reply.text()


async def test_metrics_exist() -> None:
    """No expression asks for a metric that the server doesn't declare, or a label that its samples don't have."""
    async with serving(ROOT / "sample_keys", "--admin-bind", "127.0.0.1:0") as server:
        text = await metrics(server)
    declared = {
        f"{name}{suffix}"
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
        for suffix in SUFFIXES.get(kind, ("",))
    }
    labels: dict[str, set[str]] = {}
    for name, found in re.findall(r"^([a-z_]+)\{(.*)\} ", text, re.MULTILINE):
        labels.setdefault(name, set()).update(LABEL.findall(found))
    used = {name for one in expressions() for name in NAME.findall(one)}
    assert len(used) > 20
    assert used - declared == set()
    for one in expressions():
        for name, matchers in SELECTOR.findall(one):
            if name in labels:
                assert set(LABEL.findall(matchers)) <= labels[name] | TARGET_LABELS, one
