"""A base image for the Dockerfile, made of this machine's Python: no registry is asked for one."""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

NAME = "localhost/base"
_TOOLS = ("sh", "env", "cat", "id", "stat")
# What manylinux wheels may expect of any system, besides libc.
_FOR_WHEELS = ("libdl.so.2", "libgcc_s.so.1", "libpthread.so.0", "librt.so.1", "libstdc++.so.6", "libutil.so.1")
_PATH = "/usr/local/bin:/usr/bin:/bin"


class Buildah:
    """buildah with a storage of its own."""

    def __init__(self, home: Path) -> None:
        program = shutil.which("buildah")
        if program is None:
            pytest.skip("needs Debian's package buildah")
        self.command = [program, "--root", str(home / "storage"), "--runroot", str(home / "run")]

    def __call__(self, *arguments: str | Path, seconds: float = 500) -> str:
        """Run one command to its end, and give its output."""
        done = subprocess.run(
            [*self.command, *map(str, arguments)], capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """List the shared libraries that programs need, and the loader."""
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False)
    return {Path(one) for one in re.findall(r"(/\S+) \(0x", done.stdout)}


def make_base(buildah: Buildah) -> None:
    """Make an image of this Python with pip, a shell, and the libraries of both."""
    prefix, version = Path(sys.base_prefix), f"python{sysconfig.get_python_version()}"
    library = prefix / "lib" / version
    if not (library / "ensurepip").is_dir():
        pytest.skip("needs a Python with its own prefix and ensurepip, not Debian's")
    made = buildah("from", "scratch")
    root = Path(buildah("mount", made))
    unneeded = shutil.ignore_patterns("site-packages", "test", "__pycache__", "idlelib", "lib2to3", "config-*")
    shutil.copytree(library, root / "usr/local/lib" / version, symlinks=True, ignore=unneeded)
    binaries = root / "usr/local/bin"
    binaries.mkdir(parents=True)
    shutil.copy(prefix / "bin" / version, binaries / version)
    (binaries / "python").symlink_to(version)
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    tools = [Path(found) for name in _TOOLS if (found := shutil.which(name, path="/usr/bin:/bin"))]
    for tool in tools:
        shutil.copy(tool, root / "usr/bin" / tool.name)
    needed = _libraries([prefix / "bin" / version, *tools, *library.glob("lib-dynload/*.so")])
    for one in needed | {folder / name for folder in {one.parent for one in needed} for name in _FOR_WHEELS}:
        if not one.is_file():
            continue
        place = root / "usr/lib" / one.name if prefix in one.parents else root / str(one).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one, place)
    for folder in ("tmp", "etc", "proc", "sys", "dev"):
        (root / folder).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    buildah("umount", made)
    buildah("config", "--env", f"PATH={_PATH}", made)
    buildah("run", "--isolation", "chroot", made, "--", "python", "-m", "ensurepip", "--default-pip")
    buildah("commit", "--quiet", "--rm", made, NAME)
