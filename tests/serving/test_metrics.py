"""The metrics, without a server around them."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jwks_server.errors import DirectoryMissing
from jwks_server.published.catalog import Catalog
from jwks_server.serving.metrics import Metrics
from jwks_server.serving.status import Reported
from jwks_server.stats import Reloads, Traffic


def reported(catalog: Catalog) -> Reported:
    """Report on a catalog, with connections that only have what the metrics read."""

    class _Connections(SimpleNamespace):
        def __len__(self) -> int:
            return 7

        def count(self) -> None:
            self.traffic.answers[200, "cache"] += 5

    connections: Any = _Connections(draining=False, traffic=Traffic())
    return Reported(catalog, Reloads(), connections)


async def text_of(program: Reported, accept: str = "") -> tuple[str, str]:
    """Return the text and its Content-Type."""
    parts, content_type = await Metrics(program).expose(accept)
    return b"".join(part.data for part in parts).decode(), content_type


async def samples(program: Reported) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read every sample."""
    text, _ = await text_of(program)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_traffic(catalog: Catalog) -> None:
    """Answers of the cache are counted at each scrape; connections and refusals are there."""
    program = reported(catalog)
    program.connections.traffic.bad_requests["host"] = 2
    program.connections.traffic.timed_out["head"] = 3
    for scrape in (1, 2):
        found = await samples(program)
        answers = found["jwks_server_requests_total", (("served_by", "cache"), ("status", "200"))]
        assert answers == 5 * scrape
    assert found["jwks_server_connections_open", ()] == 7
    assert found["jwks_server_bad_requests_total", (("reason", "host"),)] == 2
    assert found["jwks_server_connections_timed_out_total", (("deadline", "head"),)] == 3
    assert found["jwks_server_ready", ()] == 1


async def test_reloads() -> None:
    """Before the first reload nothing is said of its success; then success, duration and faults are there."""
    program = reported(Catalog())
    assert ("jwks_server_last_reload_successful", ()) not in await samples(program)
    faults = {"/": (DirectoryMissing("There is no directory."),)}
    program.reloads.add(["start"], "failed", at=1.0, seconds=0.5, scan=0.1, faults=faults)
    found = await samples(program)
    assert found["jwks_server_last_reload_successful", ()] == 0
    assert ("jwks_server_last_reload_success_timestamp_seconds", ()) not in found
    assert found["jwks_server_faults", (("code", "directory-missing"), ("issuer", "/"))] == 1
    program.reloads.add(["event"], "published", at=2.0, seconds=0.25, scan=0.1, faults={})
    found = await samples(program)
    assert found["jwks_server_last_reload_successful", ()] == 1
    assert found["jwks_server_last_reload_success_timestamp_seconds", ()] == 2.0
    assert found["jwks_server_reload_duration_seconds_sum", ()] == 0.75
    assert ("jwks_server_faults", (("code", "directory-missing"), ("issuer", "/"))) not in found


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=abc", "text/plain"),
        ("text/plain; version=1.0.0; escaping=bogus", "text/plain"),
    ],
)
async def test_formats(catalog: Catalog, accept: str, content_type: str) -> None:
    """The scraper's Accept chooses the format; one that is not understood gets Prometheus's own."""
    text, chosen = await text_of(reported(catalog), accept)
    assert chosen.startswith(content_type)
    assert "jwks_server_build_info" in text
