"""How many answers a second."""

from jwks_server.serving.page.rates import Meter
from jwks_server.stats import Traffic


def test_since_the_last_look() -> None:
    """The first look gives the mean since the start, a later one the mean since the last."""
    traffic = Traffic()
    meter = Meter(traffic, 0.0)
    traffic.answers[200, "cache"] += 100
    assert meter.look(50.0) == (((200, "cache", 2.0, 100),), 50.0)
    traffic.answers[200, "cache"] += 300
    traffic.answers[404, "application"] += 30
    assert meter.look(80.0) == (((200, "cache", 10.0, 400), (404, "application", 1.0, 30)), 30.0)


def test_while_somebody_looks_each_second() -> None:
    """The mean is that of the last ten seconds, and what is kept does not grow."""
    traffic = Traffic()
    meter = Meter(traffic, 0.0)
    for second in range(100, 200):
        traffic.answers[200, "cache"] += second
        found = meter.look(float(second))
    assert found.seconds == 10
    assert found.lines[0].rate == sum(range(190, 200)) / 10
    assert len(meter._looks) <= 12  # noqa: SLF001 - memory


def test_looks_at_the_same_moment() -> None:
    """Two clients that look at once see the same; a clock that was set back divides by nothing."""
    traffic = Traffic()
    meter = Meter(traffic, 100.0)
    traffic.answers[200, "cache"] += 10
    assert meter.look(110.0) == meter.look(110.0)
    assert meter.look(100.0).lines[0].rate == 0
    assert meter.look(50.0).lines[0].rate == 0
