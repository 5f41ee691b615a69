"""The units in a real systemd: ``make systemd``, since each wait of theirs takes seconds."""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from booted import KEYS, CannotBoot, Machine, booted_with_units
from rollouts import by_sockets
from support import HANG_SECONDS, key, public_pem, thumbprint

pytestmark = pytest.mark.booted

SERVICES = ("jwks-server@1.service", "jwks-server@2.service")
SOCKETS = ("jwks-server@1.socket", "jwks-server@2.socket")
SERVICE, SOCKET = SERVICES[0], SOCKETS[0]
ENVIRONMENT = "/etc/jwks-server/environment"
_MANY_FAILURES = 10  # systemd allows 5 in 10 seconds by default
DROP_IN = f"/etc/systemd/system/{SERVICE}.d/test.conf"
# Opens connections and asks on each of them; then reads the answers, however long that takes.
_WAITING = """
import socket, sys
asked = [socket.create_connection(("127.0.0.1", 8080), timeout=60) for _ in range(int(sys.argv[1]))]
for one in asked:
    one.sendall(b"GET /.well-known/jwks.json HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
print("asked", flush=True)
for one in asked:
    with one.makefile("rb") as answer:
        print(answer.read().decode(), flush=True)
"""


@pytest.fixture(scope="module")
def booted_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Boot a machine with the units."""
    try:
        with booted_with_units(tmp_path_factory.mktemp("machine")) as machine:
            yield machine
    except CannotBoot as exc:
        pytest.skip(str(exc))


@pytest.fixture
def machine(booted_once: Machine) -> Machine:
    """Put the machine back to its beginning: one key, no settings, nothing started or enabled."""
    booted_once.run("systemctl", "disable", "--now", *SERVICES, *SOCKETS)
    booted_once.run("systemctl", "reset-failed")
    shutil.rmtree(booted_once.path(KEYS))
    booted_once.path(KEYS).mkdir()
    booted_once.path(f"{KEYS}/a.pem").write_bytes(public_pem(key("RSA")))
    booted_once.path(ENVIRONMENT).unlink(missing_ok=True)
    booted_once.path(DROP_IN).unlink(missing_ok=True)
    booted_once.run("systemctl", "daemon-reload")
    booted_once.run("journalctl", "--rotate", "--vacuum-time=1us")
    return booted_once


@contextmanager
def waiting(machine: Machine, number: int) -> Iterator[subprocess.Popen[str]]:
    """Let clients ask, which wait for their answers when the block begins."""
    command = [*machine.network, sys.executable, "-c", _WAITING, str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdout is not None
        assert clients.stdout.readline() == "asked\n"
        try:
            yield clients
        finally:
            clients.kill()


def answers(clients: subprocess.Popen[str]) -> str:
    """Wait for the answers; a part of them may be in the stream's buffer already."""
    assert clients.stdout is not None
    return clients.stdout.read()


def answered(clients: subprocess.Popen[str]) -> int:
    """Wait for the answers, and count the good ones."""
    return answers(clients).count("HTTP/1.1 200 OK")


def ask(machine: Machine) -> str:
    """Ask once."""
    with waiting(machine, 1) as client:
        return answers(client)


def until_reloaded(machine: Machine, port: int) -> None:
    """Wait until an instance counts a reload by SIGHUP; before systemd 253, the command doesn't wait for it."""
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    command = [*machine.network, sys.executable, "-c", fetch, f"http://127.0.0.1:{port}/metrics"]
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        metrics = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if re.search(r'^jwks_server_reloads_total\{.*trigger="sighup".*\} [1-9]', metrics, re.MULTILINE):
            return
        assert time.monotonic() < deadline, metrics


def journal(machine: Machine, *flags: str) -> str:
    """Read the program's own lines."""
    machine.run("journalctl", "--sync")
    return machine.run("journalctl", "--output=cat", "--identifier=jwks-server", "--quiet", *flags)


def test_instances_start_by_themselves(machine: Machine) -> None:
    """An instance that is enabled starts at boot, with its socket, before anyone asks."""
    machine.run("systemctl", "enable", "--now", *SERVICES)
    for unit in (*SERVICES, *SOCKETS):
        assert machine.run("systemctl", "is-active", unit) == "active\n"
        assert machine.run("systemctl", "is-enabled", unit) == "enabled\n"
    assert set(SERVICES) <= set(machine.show("multi-user.target", "Wants").split())
    assert set(SOCKETS) <= set(machine.show("sockets.target", "Wants").split())
    assert thumbprint(key("RSA")) in ask(machine)
    assert journal(machine, "--priority=warning") == ""


def test_instance_without_its_socket(machine: Machine) -> None:
    """A service that is started alone gets its socket, which can be stopped and started again."""
    machine.run("systemctl", "start", SERVICE)
    assert machine.show(SOCKET, "ActiveState") == "active"
    machine.run("systemctl", "stop", SOCKET)
    assert machine.show(SERVICE, "ActiveState") == "inactive"
    machine.run("systemctl", "start", SOCKET)
    assert "200 OK" in ask(machine)


def test_reload(machine: Machine) -> None:
    """The documented command reloads every instance, and none is started again."""
    machine.run("systemctl", "start", *SERVICES)
    before = [machine.show(one, "MainPID") for one in SERVICES]
    machine.run("systemctl", "reload", "jwks-server@*.service")
    for port in (8081, 8082):
        until_reloaded(machine, port)
    assert [machine.show(one, "MainPID") for one in SERVICES] == before
    assert "200 OK" in ask(machine)


def test_bad_setting_is_repaired(machine: Machine) -> None:
    """A bad environment file fails the service only; the requests that wait are answered when it is repaired."""
    machine.path(ENVIRONMENT).write_text("JWKS_SERVER_MAX_AGE=soon\n")
    machine.run("systemctl", "start", SOCKET)
    machine.run("systemctl", "start", SERVICE, code=1)
    assert (machine.show(SERVICE, "ActiveState"), machine.show(SERVICE, "ExecMainStatus")) == ("failed", "2")
    assert "JWKS_SERVER_MAX_AGE" in journal(machine, "--priority=err")
    with waiting(machine, 3) as clients:
        machine.until(SERVICE, ActiveState="deactivating")
        assert machine.show(SOCKET, "ActiveState") == "active"
        machine.path(ENVIRONMENT).write_text("JWKS_SERVER_MAX_AGE=60\n")
        assert answered(clients) == 3
    assert "max-age=60" in ask(machine)


def test_no_number_of_failures_is_final(machine: Machine) -> None:
    """After more failures than systemd's default limit, the service still starts again, and its socket is there."""
    machine.path(DROP_IN).parent.mkdir(exist_ok=True)
    machine.path(DROP_IN).write_text("[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=0\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", SOCKET)
    machine.run("systemctl", "start", "--no-block", SERVICE)
    with waiting(machine, 3) as clients:
        deadline = time.monotonic() + HANG_SECONDS
        while int(machine.show(SERVICE, "NRestarts")) < _MANY_FAILURES:
            assert time.monotonic() < deadline
        machine.path(DROP_IN).unlink()
        machine.run("systemctl", "daemon-reload")
        assert answered(clients) == 3
    assert machine.show(SOCKET, "ActiveState") == "active"


def test_killed_with_requests_in_its_queue(machine: Machine) -> None:
    """Requests that a killed process hadn't accepted are answered by the next one."""
    machine.run("systemctl", "start", SERVICE)
    machine.run("systemctl", "kill", "--signal=STOP", SERVICE)
    with waiting(machine, 100) as clients:
        machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
        assert answered(clients) == 100


def test_watchdog(machine: Machine) -> None:
    """A process that hangs is ended and started again, and the requests that wait are answered."""
    machine.run("systemctl", "start", SERVICE)
    hung = machine.show(SERVICE, "MainPID")
    machine.run("systemctl", "kill", "--signal=STOP", SERVICE)
    with waiting(machine, 10) as clients:
        assert answered(clients) == 10
    assert machine.show(SERVICE, "MainPID") != hung
    assert machine.show(SERVICE, "NRestarts") == "1"
    assert "Watchdog timeout" in machine.run("journalctl", "--unit", SERVICE, "--priority=err")


async def test_restarts_under_load(machine: Machine) -> None:
    """While the instances are restarted in turn, no request is lost: their sockets stay."""
    await asyncio.to_thread(machine.run, "systemctl", "start", *SERVICES)
    clients, _ = await by_sockets(machine, 3_000, 300)
    assert clients.lost == {}


def test_priorities(machine: Machine) -> None:
    """``journalctl -p warning`` shows what deserves attention and nothing else."""
    machine.path(f"{KEYS}/bad.pem").write_text("nothing\n")
    machine.run("systemctl", "start", SERVICE)
    assert "listening" in journal(machine)
    (line,) = journal(machine, "--priority=warning").splitlines()
    assert "pem-missing" in line
    assert not line.startswith("<")


def test_time_to_stop(machine: Machine) -> None:
    """A drain that is longer than TimeoutStopSec= is not cut: the server asks systemd for the time that it needs."""
    machine.path(ENVIRONMENT).write_text("JWKS_SERVER_DRAIN=4\n")
    machine.path(DROP_IN).parent.mkdir(exist_ok=True)
    machine.path(DROP_IN).write_text("[Service]\nTimeoutStopSec=1\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", SERVICE)
    machine.run("systemctl", "stop", SERVICE)
    assert machine.show(SERVICE, "Result") == "success"
    assert "stopped" in journal(machine)


def test_sandbox(machine: Machine) -> None:
    """The running service has the sandbox of the unit: a user of its own, no capability, and a private state."""
    machine.run("systemctl", "start", SERVICE)
    pid = machine.show(SERVICE, "MainPID")
    status = dict(
        line.split(":", 1) for line in machine.path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    assert int(status["Uid"].split()[0]) >= 61184  # the users of DynamicUser=
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    assert machine.path("/var/lib/private/jwks-server/1/state.json").exists()
