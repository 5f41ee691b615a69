"""A machine whose first process is a real systemd: a container on this machine's files, which it can't change."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support import HANG_SECONDS, ROOT

import jwks_server

KEYS = "/etc/jwks-server/keys"
_UNITS = ROOT / "deploy" / "systemd"
_NOTIFY_RELOAD_SINCE = 253
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_TOOLS = {"systemd-nspawn": "systemd-container", "nsenter": "util-linux", "unshare": "util-linux"}
# The program and its Python, where the units' sandbox lets them be seen: not under /root, /home or /tmp.
_PROGRAM = """#!/usr/bin/env -S LD_LIBRARY_PATH={home}/lib {python}
import sys
sys.path[:0] = ["/opt/jwks-server/package", "/opt/jwks-server/libraries"]
from jwks_server.__main__ import main
main()
"""
# The mounts end with the script, and each machine has cgroups of its own.
_BOOT = """
name=$1 files=$2; shift 2
for place in {cgroups}; do
    if test -e $place/cgroup.procs; then mkdir $place/$name; echo $$ > $place/$name/cgroup.procs; fi
done
mount -t tmpfs tmpfs $files/scratch
mkdir $files/scratch/work $files/scratch/root
cp -R $files/added $files/scratch/upper
chmod 755 $files/scratch/upper
mount -t overlay overlay -o lowerdir=/,upperdir=$files/scratch/upper,workdir=$files/scratch/work $files/scratch/root
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --boot --directory $files/scratch/root --machine $name --private-network --register=no \\
    --link-journal=no --resolv-conf=off --timezone=off --console=pipe "$@"
"""


class CannotBoot(Exception):
    """A machine can't be had here."""


class Machine:
    """A running machine.

    Attributes:
        name: Its name.
        inside: What a command begins with to run in it.
        network: What a command begins with to run outside, but in its network.
    """

    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self.inside = ("nsenter", "--target", str(first), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
        self.network = ("nsenter", "--target", str(first), "--net")
        self._root = Path(f"/proc/{first}/root")

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command in the machine, which must end with this code; give what it wrote."""
        done = self.ended(*command)
        if done.returncode != code:
            journal = self.ended("journalctl", "--lines=30", "--output=short-monotonic").stdout
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}{journal}")
        return done.stdout

    def ended(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine to its end."""
        return subprocess.run(
            [*self.inside, *command], capture_output=True, text=True, timeout=HANG_SECONDS, check=False
        )

    def show(self, unit: str, name: str) -> str:
        """Read a property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def until(self, unit: str, **wanted: str) -> None:
        """Wait until a unit's properties have these values."""
        end = time.monotonic() + HANG_SECONDS
        while (now := {name: self.show(unit, name) for name in wanted}) != wanted:
            assert time.monotonic() < end, (unit, now, self.run("systemctl", "status", unit, code=3))
            time.sleep(0.05)

    def path(self, name: str) -> Path:
        """Return a place in the machine as a path of this one."""
        return self._root / name.lstrip("/")


@contextmanager
def booted(folder: Path, files: Path) -> Iterator[Machine]:
    """Boot a machine until the block ends.

    Args:
        folder: An empty folder for it.
        files: The files that it has beside this machine's, from its root on; they win.

    Raises:
        CannotBoot: It can't be had here, with the reason.
    """
    if os.geteuid():
        raise CannotBoot("systemd-nspawn needs root")
    if lacking := {package for tool, package in _TOOLS.items() if not shutil.which(tool)}:
        raise CannotBoot(f"install {', '.join(sorted(lacking))}")
    name = f"jwks{os.getpid()}"
    added = folder / "added"
    shutil.copytree(files, added)
    (folder / "scratch").mkdir()
    log = folder / "console"
    binds = _program(added)
    keep = [] if Path("/run/systemd/system").exists() else ["--keep-unit"]
    with log.open("wb") as console:
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation", "private"),
                *("sh", "-euc", _BOOT.format(cgroups=" ".join(_CGROUPS)), "sh", name, str(folder)),
                *keep,
                *binds,
                *("--", "systemd.unit=basic.target"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Machine(name, _first(process, log))
    finally:
        for one in _children(process):  # the first process; systemd-nspawn ends with it
            os.kill(one, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(HANG_SECONDS)
        process.kill()
        process.wait()
        _remove_cgroups(name)


@contextmanager
def booted_with_units(folder: Path) -> Iterator[Machine]:
    """Boot a machine with the units, with the drop-in where its systemd needs it, and without keys; see ``booted``."""
    units = folder / "files" / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    (folder / "files" / KEYS.lstrip("/")).mkdir(parents=True)
    for one in _UNITS.glob("jwks-server@.*"):
        shutil.copy(one, units)
    if not shutil.which("systemctl"):
        raise CannotBoot("install systemd")
    version = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    if int(version) < _NOTIFY_RELOAD_SINCE:
        (units / "jwks-server@.service.d").mkdir()
        shutil.copy(_UNITS / "before-253.conf", units / "jwks-server@.service.d")
    (folder / "machine").mkdir()
    with booted(folder / "machine", folder / "files") as machine:
        yield machine


def _program(added: Path) -> list[str]:
    """Add the program under test and its Python; give the flags that bring them into the machine."""
    libraries = Path(sys.prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    binds = {"package": Path(jwks_server.__file__).parent.parent, "libraries": libraries}
    python = Path(sys.executable).resolve()
    if sys.base_prefix != "/usr":
        binds["python"] = Path(sys.base_prefix).resolve()
        python = Path("/opt/jwks-server/python", python.relative_to(binds["python"]))
    script = added / "usr/local/bin/jwks-server"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(_PROGRAM.format(python=python, home=python.parent.parent))
    script.chmod(0o755)
    for one in binds:
        (added / "opt/jwks-server" / one).mkdir(parents=True)
    (added / "etc").mkdir(exist_ok=True)
    (added / "etc/machine-id").write_text("")  # a new machine, with a journal of its own
    return [f"--bind-ro={path}:/opt/jwks-server/{one}" for one, path in binds.items()]


def _first(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the machine is up; give the number of its first process."""
    end = time.monotonic() + HANG_SECONDS
    while process.poll() is None and time.monotonic() < end:
        for child in _children(process):
            if Machine("", child).ended("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
                return child
        time.sleep(0.1)
    raise CannotBoot(f"systemd-nspawn doesn't boot: {log.read_text(errors='replace')[-500:].strip()}")


def _children(process: subprocess.Popen[bytes]) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    return []


def _remove_cgroups(name: str) -> None:
    for place in _CGROUPS:
        for folder, _, _ in os.walk(Path(place, name), topdown=False):
            for _ in range(100):  # the kernel is a moment behind
                with suppress(OSError):
                    Path(folder).rmdir()
                    break
                time.sleep(0.05)
