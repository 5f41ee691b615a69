"""What the program reports -> Prometheus metrics, computed when they are scraped."""

import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from jwks_server import __version__
from jwks_server.serving import issuer_metrics
from jwks_server.serving.certificate import Certificate
from jwks_server.serving.compressed import Part
from jwks_server.serving.issuer_metrics import PREFIX
from jwks_server.serving.slices import PerIssuer, in_slices
from jwks_server.serving.status import Reported
from jwks_server.serving.totals import Totals, total
from jwks_server.stats import Histogram, Reloads, Traffic
from jwks_server.text import well_formed

Values = Mapping[Any, float]


class Metrics:
    """The metrics of a program.

    Args:
        reported: What the metrics report on.
        per_issuer: Whether everything is said of each issuer, and not only what needs attention.
    """

    def __init__(self, reported: Reported, *, per_issuer: bool = False) -> None:
        self._reported = reported
        self._details = per_issuer
        self._per_issuer = PerIssuer(partial(issuer_metrics.figures, details=per_issuer))
        self._figures: Mapping[str, issuer_metrics.Figures] | None = None
        self._of_issuers = Part(b"")
        self._totals = Totals()

    async def expose(self, accept: str) -> tuple[Sequence[Part], str]:
        """Write the metrics.

        Args:
            accept: The scraper's Accept field.

        Returns:
            The parts of the text, and its Content-Type: Prometheus's own format or OpenMetrics, as the scraper accepts.
        """
        figures = await in_slices(self._per_issuer.steps(self._reported.facts()))
        if figures is not self._figures:
            self._of_issuers = Part(await in_slices(issuer_metrics.join(figures)))
            self._totals = await in_slices(total(figures))
            self._figures = figures
        ending = issuer_metrics.of_certificates(self._totals.certificates(None if self._details else time.time()))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Whole(self._reported, self._totals))
        ProcessCollector(registry=registry)
        try:
            encoder, content_type = choose_encoder(accept)
            text = encoder(registry)
        except (TypeError, ValueError):  # a version or an escaping that the library doesn't know
            encoder, content_type = choose_encoder("")
            text = encoder(registry)
        return (self._of_issuers, Part(ending + text)), content_type


class _Whole(Collector):
    def __init__(self, reported: Reported, totals: Totals) -> None:
        self._reported = reported
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        reported = self._reported
        reported.connections.count()
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
        yield from _of_sets(self._totals)
        yield from _of_reloads(reported.reloads)
        yield from _of_certificate(reported.certificate)
        yield from _of_traffic(reported.connections.traffic, len(reported.connections))


def _of_sets(totals: Totals) -> Iterator[Metric]:
    yield _gauge("issuers", "How many issuers have a set.", (), {(): totals.sets})
    yield _gauge("keys", "How many keys there are.", ("stage", "alg"), totals.keys)
    refused = {(code,): number for code, number in totals.refused.items()}
    yield _gauge("files_refused", "How many files give no key.", ("code",), refused)
    digest = {(totals.digest,): 1} if totals.digest else {}
    yield _gauge("set_info", "A digest of all sets, which replicas share.", ("digest",), digest)


def _of_reloads(reloads: Reloads) -> Iterator[Metric]:
    yield _counter("reloads", "Reloads of the key directory.", ("trigger", "outcome"), reloads.outcomes)
    good = {(): float(not reloads.faults)} if reloads.whole.count else {}
    yield _gauge("last_reload_successful", "Whether the last reload found no fault.", (), good)
    last = {} if reloads.last_success is None else {(): reloads.last_success}
    yield _gauge("last_reload_success_timestamp_seconds", "When a reload last found no fault.", (), last)
    scan = {} if reloads.last_scan is None else {(): reloads.last_scan}
    yield _gauge("last_scan_timestamp_seconds", "When the whole key directory was last read.", (), scan)
    yield _gauge("issuers_failing", "How many issuers have a fault.", (), {(): len(reloads.faults)})
    now = time.time()
    early = {(path,): instant for path, instant in reloads.too_early.items() if instant > now}
    name = "signing_too_early_until_timestamp_seconds"
    yield _gauge(name, "Until when an issuer whose keys were all replaced has none to sign with.", ("issuer",), early)
    for name, span in (("reload", reloads.whole), ("scan", reloads.scans)):
        meaning = f"The duration of a {name}."
        yield SummaryMetricFamily(
            f"{PREFIX}{name}_duration_seconds", meaning, count_value=span.count, sum_value=span.seconds
        )


def _of_certificate(certificate: Certificate | None) -> Iterator[Metric]:
    period = certificate.validity if certificate else None
    for name, when in (("not_before", "begins"), ("not_after", "ends")):
        yield _gauge(
            f"serving_certificate_{name}_timestamp_seconds",
            f"When the validity period of the certificate for TLS {when}.",
            (),
            {(): getattr(period, name)} if period else {},
        )
    yield _gauge(
        "serving_certificate_last_reload_successful",
        "Whether the certificate for TLS is the one in its files.",
        (),
        {(): not certificate.refused} if certificate else {},
    )
    yield _gauge(
        "serving_certificate_faults",
        "What is wrong now with the certificate for TLS or its files.",
        ("code",),
        Counter((one.code,) for one in certificate.faults) if certificate else {},
    )


def _of_traffic(traffic: Traffic, connections: int) -> Iterator[Metric]:
    answers = {(str(status), served_by): number for (status, served_by), number in traffic.answers.items()}
    yield _counter("requests", "Answers on the public listener.", ("status", "served_by"), answers)
    for name, meaning, histogram in (
        ("request_duration", "How long the application took for an answer that was not cached.", traffic.durations),
        ("event_loop_lateness", "How late the event loop was, once a second.", traffic.lateness),
    ):
        yield _histogram(f"{name}_seconds", meaning, histogram)
    yield _gauge("connections_open", "Connections to the public listener.", (), {(): connections})
    yield _counter("connections_accepted", "Connections that were admitted.", (), {(): traffic.accepted})
    yield _counter("connections_refused", "Connections refused at the limit.", (), {(): traffic.refused})
    yield _counter("connections_evicted", "Connections closed to make room.", (), {(): traffic.evicted})
    timed_out = {(deadline,): number for deadline, number in traffic.timed_out.items()}
    yield _counter("connections_timed_out", "Connections closed at a deadline.", ("deadline",), timed_out)
    bad = {(reason,): number for reason, number in traffic.bad_requests.items()}
    yield _counter("bad_requests", "Data that was not a request.", ("reason",), bad)


def _histogram(name: str, meaning: str, histogram: Histogram) -> Metric:
    sums = accumulate(histogram.counts)
    names = (*map(str, histogram.bounds), "+Inf")
    return HistogramMetricFamily(
        PREFIX + name, meaning, buckets=list(zip(names, sums, strict=True)), sum_value=histogram.seconds
    )


def _gauge(name: str, meaning: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, meaning, labels=labels), values)


def _counter(name: str, meaning: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, meaning, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: Values) -> Metric:
    for labels, value in values.items():
        family.add_metric([well_formed(label) for label in labels], value)
    return family
