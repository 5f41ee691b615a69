"""The counters."""

from jwks_server.errors import NoKeys
from jwks_server.stats import Histogram, IssuerReload, Reloads, Span


def add(reloads: Reloads, *reasons: str, outcome: str = "unchanged", at: float = 0.0, good: bool = True) -> None:
    """Add a reload."""
    faults = {} if good else {"/": (NoKeys("No key."),)}
    reloads.add(reasons, outcome, at=at, seconds=0.5, scan=0.25, faults=faults)


def test_span() -> None:
    """A span counts, and adds durations up."""
    span = Span()
    span.add(0.5)
    span.add(1.5)
    assert (span.count, span.seconds) == (2, 2.0)


def test_each_trigger_is_counted() -> None:
    """A reload counts for each of its triggers, and once in the durations."""
    reloads = Reloads()
    add(reloads, "event", "sighup", outcome="published")
    assert reloads.outcomes == {("event", "published"): 1, ("sighup", "published"): 1}
    assert (reloads.whole.count, reloads.whole.seconds, reloads.scans.seconds) == (1, 0.5, 0.25)


def test_last_is_not_an_idle_rescan() -> None:
    """The last reload that is told is one with a change, a fault or a trigger other than the period."""
    reloads = Reloads()
    add(reloads, "event", outcome="published", at=1.0)
    add(reloads, "period", at=2.0)
    assert reloads.last == (1.0, "event", "published")
    add(reloads, "period", outcome="failed", at=3.0, good=False)
    assert reloads.last == (3.0, "period", "failed")
    add(reloads, "event", "period", at=4.0)
    assert reloads.last == (4.0, "event+period", "unchanged")


def test_last_success_needs_no_change() -> None:
    """A reload without a fault is a success, even without a change; one with a fault is none."""
    reloads = Reloads()
    add(reloads, "period", at=1.0)
    assert reloads.last_success == 1.0
    add(reloads, "period", outcome="failed", at=2.0, good=False)
    assert reloads.last_success == 1.0
    assert reloads.faults
    add(reloads, "period", at=3.0)
    assert (reloads.last_success, reloads.faults) == (3.0, {})


def test_histogram() -> None:
    """Each duration counts in the first range that it fits in, its bound included."""
    histogram = Histogram()
    for seconds in (0.0, 0.0005, 0.0006, 2.5, 60.0):
        histogram.add(seconds)
    assert histogram.counts[:2] == [2, 1]
    assert histogram.counts[-2:] == [1, 1]
    assert (sum(histogram.counts), histogram.seconds) == (5, 62.5011)


def test_reloads_of_an_issuer() -> None:
    """An issuer's reload is kept until one that is unlike it; a failing one keeps the time when it began to fail."""
    reloads = Reloads()
    told = []
    for at, outcome in enumerate(("published", "unchanged", "failed", "failed", "unchanged", "published")):
        reloads.add_issuer("/a", outcome, at)
        told.append(reloads.of_issuers["/a"])
    assert told[0] is told[1]
    assert told[2] is told[3]
    assert told[2] == IssuerReload(2, "failed", 2)
    assert told[4:] == [IssuerReload(4, "unchanged", None), IssuerReload(5, "published", None)]
