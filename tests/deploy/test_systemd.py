"""The systemd units."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from manifests import DEPLOY, run, tool

from jwks_server.cli import cli
from jwks_server.errors import ConfigError

UNITS = DEPLOY / "systemd"
SERVICE = UNITS / "jwks-server@.service"
SOCKET = UNITS / "jwks-server@.socket"
NOTIFY_RELOAD_SINCE = 253
# systemd-analyze's own figure, ten times from 0 (shut) to 10 (open); a network service without a sandbox has 96.
MOST_EXPOSED = 15


def settings(unit: Path) -> dict[str, list[str]]:
    """Read a unit's settings; one that stands there several times has several values."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if re.match(r"[A-Z]", line):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the units in a folder, with the drop-in where this machine's systemd needs it."""
    version = re.match(r"systemd (\d+)", run(tool("systemd-analyze", "systemd"), "--version"))
    assert version
    for unit in (SERVICE, SOCKET):
        shutil.copy(unit, tmp_path)
    if int(version[1]) < NOTIFY_RELOAD_SINCE:
        (tmp_path / f"{SERVICE.name}.d").mkdir()
        shutil.copy(UNITS / "before-253.conf", tmp_path / f"{SERVICE.name}.d")
    return tmp_path


def test_systemd_takes_the_units(installed: Path) -> None:
    """No unit has a fault for systemd; one that is too old for notify-reload says that and nothing else."""
    done = subprocess.run(
        ["systemd-analyze", "verify", installed / "jwks-server@1.service", installed / "jwks-server@1.socket"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [
        line for line in done.stderr.splitlines() if "Failed to parse service type, ignoring: notify-reload" not in line
    ]
    assert (said, done.returncode) == ([], 0)
    if (installed / f"{SERVICE.name}.d").exists():
        dropped_in = settings(UNITS / "before-253.conf")
        assert dropped_in == {"Type": ["notify"], "ExecReload": ["/bin/kill -HUP $MAINPID"]}


def test_service_is_shut_in(installed: Path) -> None:
    """The sandbox is tight by systemd's own figure, which needs no running systemd."""
    run(
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={MOST_EXPOSED}",
        installed / "jwks-server@1.service",
    )


def test_settings_are_flags() -> None:
    """Each variable of the service is one that ``serve`` reads; it has time to drain and to finish."""
    flags: dict[object, Any] = {one.envvar: one.default for one in cli.commands["serve"].params}
    given = settings(SERVICE)
    assert {one.partition("=")[0] for one in given["Environment"]} <= flags.keys()
    assert "JWKS_SERVER_DRAIN" not in {one.partition("=")[0] for one in given["Environment"]}  # the socket stays
    needed = flags["JWKS_SERVER_DRAIN"] + flags["JWKS_SERVER_SHUTDOWN_TIMEOUT"]
    assert float(given["TimeoutStopSec"][0]) > needed


def test_instances_share_the_port_and_nothing_else() -> None:
    """Each instance has its own socket on the one port, its own state and its own admin port."""
    assert settings(SOCKET)["ReusePort"] == ["yes"]
    assert "%i" not in settings(SOCKET)["ListenStream"][0]
    environment = dict(one.split("=", 1) for one in settings(SERVICE)["Environment"])
    assert "%i" in environment["JWKS_SERVER_ADMIN_BIND"]
    assert environment["JWKS_SERVER_STATE"].startswith(f"%S/{settings(SERVICE)['StateDirectory'][0]}/")
    assert "%i" in settings(SERVICE)["StateDirectory"][0]


def test_instance_and_its_socket_belong_together() -> None:
    """A service can't run without its socket, and whoever enables it enables both."""
    for name in ("Requires", "After", "Also"):
        assert "jwks-server@%i.socket" in settings(SERVICE)[name][0].split()


def test_wrong_settings_fail_the_unit_and_nothing_else() -> None:
    """The exit code of a wrong setting is one that systemd doesn't try again at once, and no failure is final."""
    given = settings(SERVICE)
    assert given["RestartPreventExitStatus"] == [str(ConfigError.exit_code)]
    assert given["StartLimitIntervalSec"] == ["0"]
