"""The entry of the program."""

import signal
import subprocess
import sys

from support import HANG_SECONDS, run


def test_module_is_the_script() -> None:
    """``python -m jwks_server`` is the same program as the console script."""
    done = subprocess.run(
        [sys.executable, "-m", "jwks_server", "--version"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert done.stdout == run("--version").stdout


def test_interrupt_during_the_imports() -> None:
    """An interrupt before the command line is read ends a command with 130, not with a traceback."""
    program = (
        "import builtins, signal, sys, jwks_server.__main__ as entry\n"
        "real = builtins.__import__\n"
        "def interrupted(name, *rest, **more):\n"
        "    if name == 'jwks_server': signal.raise_signal(signal.SIGINT)\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = interrupted\n"
        "sys.argv = ['jwks-server', 'version']\n"
        "entry.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=HANG_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, b"")
