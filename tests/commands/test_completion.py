"""completion SHELL through the console."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support import HANG_SECONDS, SCRIPT, run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(shell: str) -> None:
    """The script calls the program in the way that completes."""
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_JWKS_SERVER_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("jwks-server he", {"healthcheck"}),
        ("jwks-server wait --pub", {"--published-at"}),
        ("jwks-server check --kid s", {"spki-sha256"}),
    ],
)
def test_completes(words: str, expected: set[str]) -> None:
    """Commands, options and values are completed."""
    done = run(_JWKS_SERVER_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


def test_bash_takes_it() -> None:
    """Bash registers the completion that the script defines."""
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", 'eval "$(jwks-server completion bash)" && complete -p jwks-server'],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
        env={"PATH": f"{Path(SCRIPT).parent}:/usr/bin:/bin"},
    )
    assert "_jwks_server_completion jwks-server" in done.stdout


def test_unknown_shell() -> None:
    """Another shell is called wrongly."""
    done = run("completion", "tcsh")
    assert (done.returncode, "[config-invalid]" in done.stderr) == (2, True)
