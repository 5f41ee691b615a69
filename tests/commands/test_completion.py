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


@pytest.mark.parametrize("words", ["check ke", "diff ke", "verify token ke", "render keys --out ke"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_told_to_list_folders(shell: str, words: str) -> None:
    """For DIR, SOURCE and --out the answer names no candidate, but the type for which the script lists folders."""
    current = "ke" if shell == "fish" else str(len(words.split()))
    done = run(_JWKS_SERVER_COMPLETE=f"{shell}_complete", COMP_WORDS=f"jwks-server {words}", COMP_CWORD=current)
    assert done.stdout.replace("\n", ",").split(",")[0] == "dir"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_it(shell: str) -> None:
    """The shell reads the script without an error."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = run("completion", shell).stdout
    program = script if shell == "fish" else f"autoload -U compinit && compinit -u\n{script}"
    done = subprocess.run(
        [str(shutil.which(shell)), "-c", program], capture_output=True, timeout=HANG_SECONDS, check=True
    )
    assert done.stderr == b""


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
