"""The pace of the rescan."""

import pytest
from structlog.testing import capture_logs

from jwks_server.source import mounts
from jwks_server.source.mounts import Mount
from jwks_server.source.rescan import Rescan
from jwks_server.stats import Reloads


@pytest.fixture
def rescan(monkeypatch: pytest.MonkeyPatch) -> Rescan:
    """Make a rescan beside a disk and a network filesystem."""
    table = (Mount("/", "/", "ext4"), Mount("/", "/net", "nfs4"), Mount("/", "/odd", "fuse.odd"))
    monkeypatch.setattr(mounts, "table", lambda: table)
    return Rescan(1.0, Reloads())


def test_shares_of_a_core(rescan: Rescan) -> None:
    """It takes 1 % of a core where the kernel reports changes, else 5 %; and no pause is shorter than asked for."""
    rescan.watched(0.01, {1: "/keys"}, "")
    assert rescan.pause == 1.0
    rescan.read(0.09, changed=False)
    assert rescan.pause == pytest.approx(10)
    rescan.watched(0.01, {2: "/net/keys"}, "")
    assert rescan.pause == pytest.approx(2)
    rescan.watched(0.01, {1: "/keys"}, "TooFewWatches")
    assert rescan.pause == pytest.approx(2)


def test_parsing_is_no_part_of_a_look(rescan: Rescan) -> None:
    """What a look costs that found changes, as the first one does, makes no pause longer."""
    rescan.read(3.0, changed=True)
    assert rescan.pause == 1.0
    rescan.read(0.05, changed=False)
    rescan.read(3.0, changed=True)
    assert rescan.pause == pytest.approx(5)
    rescan.read(0.02, changed=True)
    assert rescan.pause == pytest.approx(2)


def test_the_reason_is_logged_once(rescan: Rescan) -> None:
    """The filesystem that may not report changes is named, once; and it is told when that is over."""
    with capture_logs() as logs:
        for devices in ({1: "/keys"}, {1: "/keys", 2: "/net/keys", 3: "/odd"}, {1: "/keys"}):
            for _ in range(3):
                rescan.watched(0.0, devices, "")
    assert [line["event"] for line in logs] == ["rescan-paced", "rescan-paced"]
    assert "(fuse.odd, nfs4)" in logs[0]["reason"]
    assert "reports changes" in logs[1]["reason"]


def test_the_status_shows_it(rescan: Rescan) -> None:
    """The status says how the directory is followed, how often it is read, and why."""
    reloads = Reloads()
    rescan = Rescan(1.0, reloads)
    for devices, watch in (({1: "/keys"}, "events"), ({2: "/net"}, "rescan")):
        rescan.read(0.1, changed=False)
        rescan.watched(0.0, devices, "")
        assert reloads.watch == watch
        assert reloads.pace
        assert reloads.pace.every == rescan.pause
        assert ("nfs4" in reloads.pace.reason) is (watch == "rescan")


def test_an_unknown_filesystem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mounts can't be read, nothing is relied on."""
    monkeypatch.setattr(mounts, "table", lambda: ())
    reloads = Reloads()
    Rescan(1.0, reloads).watched(0.0, {1: "/keys"}, "")
    assert reloads.pace
    assert "unknown" in reloads.pace.reason
