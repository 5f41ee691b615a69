"""What the program reports -> Prometheus metrics, computed when they are scraped."""

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from jwks_server import __version__
from jwks_server.keys.keyset import Key, KeySet
from jwks_server.serving.status import Reported
from jwks_server.stats import Reloads, Traffic
from jwks_server.text import well_formed

_PREFIX = "jwks_server_"

Values = Mapping[Any, float]


def expose(reported: Reported, accept: str) -> tuple[bytes, str]:
    """Write the metrics.

    Args:
        reported: What the metrics report on.
        accept: The scraper's Accept field.

    Returns:
        The text, and its Content-Type: Prometheus's own format or OpenMetrics, as the scraper accepts.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(reported))
    ProcessCollector(registry=registry)
    try:
        encoder, content_type = choose_encoder(accept)
        return encoder(registry), content_type
    except (TypeError, ValueError):  # a version or an escaping that the library doesn't know
        encoder, content_type = choose_encoder("")
        return encoder(registry), content_type


class _Metrics(Collector):
    def __init__(self, reported: Reported) -> None:
        self._reported = reported

    def collect(self) -> Iterator[Metric]:
        reported = self._reported
        reported.connections.count()
        keysets = {issuer: entry.keyset for issuer, entry in reported.catalog.current.entries.items()}
        yield _gauge(
            "build_info",
            "The program's version and what it runs on.",
            ("version", "python", "aiohttp"),
            {(__version__, platform.python_version(), aiohttp.__version__): 1},
        )
        yield _gauge(
            "ready", "Whether a set is loaded and the process isn't draining.", (), {(): not reported.unready()}
        )
        yield _gauge("draining", "Whether the process received SIGTERM.", (), {(): reported.connections.draining})
        yield from _of_keys(keysets)
        yield from _of_reloads(reported.reloads)
        yield from _of_traffic(reported.connections.traffic, len(reported.connections))


def _of_keys(keysets: Mapping[str, KeySet]) -> Iterator[Metric]:
    number: Counter[tuple[str, ...]] = Counter()
    info: dict[tuple[str, ...], float] = {}
    for issuer, keyset in keysets.items():
        for key in (*keyset.keys, *keyset.pending):
            number[issuer, key.state, key.alg] += 1
            info[issuer, key.kid, key.alg, key.use, key.state, key.file] = 1
    yield _gauge("keys", "How many keys there are.", ("issuer", "stage", "alg"), number)
    yield _gauge("key_info", "Each key.", ("issuer", "kid", "alg", "use", "stage", "file"), info)
    times: tuple[tuple[str, str, Callable[[Key], float | None]], ...] = (
        ("first_published", "When clients could first see the key.", lambda key: key.first_published),
        ("safe_to_sign", "When every verifier has seen the key.", lambda key: key.safe_to_sign_at),
        ("retires", "When the key leaves the set.", lambda key: key.retires_at),
        ("certificate_not_after", "When the key's certificate expires.", lambda key: key.public.not_after),
    )
    for name, meaning, when in times:
        instants = {
            (issuer, key.kid): instant
            for issuer, keyset in keysets.items()
            for key in (*keyset.keys, *keyset.pending)
            if (instant := when(key)) is not None
        }
        yield _gauge(f"key_{name}_timestamp_seconds", meaning, ("issuer", "kid"), instants)
    digests = {(issuer, keyset.digest): 1 for issuer, keyset in keysets.items()}
    yield _gauge("set_info", "The set's digest, as in its ETag.", ("issuer", "digest"), digests)


def _of_reloads(reloads: Reloads) -> Iterator[Metric]:
    refused = Counter(
        (issuer, verdict.error.code)
        for issuer, evaluation in reloads.issuers.items()
        for verdict in evaluation.verdicts
        if verdict.outcome == "refused" and verdict.error
    )
    yield _gauge("files_refused", "How many files give no key.", ("issuer", "code"), refused)
    yield _counter("reloads", "Reloads of the key directory.", ("trigger", "outcome"), reloads.outcomes)
    good = {(): float(not reloads.faults)} if reloads.whole.count else {}
    yield _gauge("last_reload_successful", "Whether the last reload found no fault.", (), good)
    last = {} if reloads.last_success is None else {(): reloads.last_success}
    yield _gauge("last_reload_success_timestamp_seconds", "When a reload last found no fault.", (), last)
    faults = Counter((issuer, error.code) for issuer, errors in reloads.faults.items() for error in errors)
    yield _gauge("faults", "What is wrong now.", ("issuer", "code"), faults)
    for name, span in (("reload", reloads.whole), ("scan", reloads.scans)):
        meaning = f"The duration of a {name}."
        yield SummaryMetricFamily(
            f"{_PREFIX}{name}_duration_seconds", meaning, count_value=span.count, sum_value=span.seconds
        )


def _of_traffic(traffic: Traffic, connections: int) -> Iterator[Metric]:
    answers = {(str(status), served_by): number for (status, served_by), number in traffic.answers.items()}
    yield _counter("requests", "Answers on the public listener.", ("status", "served_by"), answers)
    yield _gauge("connections_open", "Connections to the public listener.", (), {(): connections})
    yield _counter("connections_accepted", "Connections that were admitted.", (), {(): traffic.accepted})
    yield _counter("connections_refused", "Connections refused at the limit.", (), {(): traffic.refused})
    yield _counter("connections_evicted", "Connections closed to make room.", (), {(): traffic.evicted})
    timed_out = {(deadline,): number for deadline, number in traffic.timed_out.items()}
    yield _counter("connections_timed_out", "Connections closed at a deadline.", ("deadline",), timed_out)
    bad = {(reason,): number for reason, number in traffic.bad_requests.items()}
    yield _counter("bad_requests", "Data that was not a request.", ("reason",), bad)


def _gauge(name: str, meaning: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(GaugeMetricFamily(_PREFIX + name, meaning, labels=labels), values)


def _counter(name: str, meaning: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(CounterMetricFamily(_PREFIX + name, meaning, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for labels, value in values.items():
        family.add_metric([well_formed(label) for label in labels], value)
    return family
