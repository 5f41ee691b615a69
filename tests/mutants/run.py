"""Put one fault after the other into a copy of the program, and see that a test notices: ``make mutants``."""

import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mutants import generic
from mutants.mutant import Mutant, StaleError
from mutants.named import NAMED

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
RESULTS = Path(__file__).with_name("RESULTS.md")
BY_CHANCE = "## By chance"
# What the tests need of the tree.
COPIED = ("jwks_server", "tests", "sample_keys", "deploy", "docs", "pyproject.toml", "README.md", "CHANGELOG.md")
TIMEOUT_SECONDS = 150

Fate = Literal["killed", "killed (time)", "survived", "stale"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant, and the test that killed it."""

    mutant: Mutant
    fate: Fate
    by: str
    seconds: float


class Worker:
    """A copy of the tree, in which one mutant is tried at a time."""

    def __init__(self, number: int) -> None:
        self.root = BUILD / str(number)
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        for name in COPIED:
            source, target = ROOT / name, self.root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                shutil.copy(source, target)

    def attempt(self, mutant: Mutant) -> Result:
        """Put a mutant in, run its tests, and take it out again."""
        path, began = mutant.tree(self.root), time.monotonic()
        source = path.read_text(encoding="utf-8") if path.is_file() else ""
        try:
            path.write_text(mutant.applied(source), encoding="utf-8")
        except StaleError as exc:
            return Result(mutant, "stale", str(exc), 0.0)
        try:
            code, output = self.test(mutant.tests)
        finally:
            path.write_text(source, encoding="utf-8")
        seconds = time.monotonic() - began
        if code is None:
            return Result(mutant, "killed (time)", "no end within the time", seconds)
        if code == 0:
            return Result(mutant, "survived", "", seconds)
        return Result(mutant, "killed", _killer(output), seconds)

    def test(self, tests: Iterable[str], seconds: float = TIMEOUT_SECONDS) -> tuple[int | None, str]:
        """Run tests until the first fails; give the exit code, None where they took too long, and the output."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *(f"tests/{one}" for one in tests)],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the servers that the tests started, too
            process.communicate()
            return None, ""
        return process.returncode, output


def _killer(output: str) -> str:
    """Find the first test that failed in pytest's summary."""
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word in {"FAILED", "ERROR"}:
            return rest.partition(" - ")[0].removeprefix("tests/")
    return output.strip().splitlines()[-1] if output.strip() else ""


def tried(mutants: Sequence[Mutant], workers: Sequence[Worker]) -> list[Result]:
    """Try the mutants, as many at once as there are workers; give the results in the mutants' order."""
    waiting: queue.SimpleQueue[tuple[int, Mutant]] = queue.SimpleQueue()
    for numbered in enumerate(mutants):
        waiting.put(numbered)
    results: dict[int, Result] = {}

    def work(worker: Worker) -> None:
        while True:
            try:
                at, mutant = waiting.get_nowait()
            except queue.Empty:
                return
            results[at] = result = worker.attempt(mutant)
            sys.stdout.write(f"{result.fate:13} {result.seconds:5.1f} s  {mutant.name}  {result.by}\n")
            sys.stdout.flush()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[at] for at in sorted(results)]


def _report(named: Sequence[Result], chosen: Sequence[Result]) -> str:
    """Write the results as Markdown."""
    lines = [
        "# Mutants",
        "",
        "`make mutants` writes this file. Each mutant is one small fault that is put into a copy of the program;",
        "the tests named for it must notice. A mutant is *stale* when its text does not stand in the code any more.",
        "",
        "## By hand",
        "",
        f"{_count(named)}",
        "",
        "| mutant | promise | result | test that fails |",
        "|---|---|---|---|",
    ]
    for one in named:
        name = f"{one.mutant.name} (`{one.mutant.file}`)"
        lines.append(f"| {_cell(name)} | {_cell(one.mutant.promise)} | {one.fate} | {_cell(one.by)} |")
    if chosen:
        lines += [
            "",
            BY_CHANCE,
            "",
            f"{_count(chosen)} {generic.FOR_EACH_MODULE} for each module of {', '.join(generic.PACKAGES)},",
            f"chosen with the seed {generic.SEED}.",
            "They run against the module's own test file and a few others, not against the whole suite.",
            "",
            "| mutant | change | result | test that fails |",
            "|---|---|---|---|",
        ]
        for one in chosen:
            lines.append(f"| `{one.mutant.name}` | {_cell(one.mutant.promise)} | {one.fate} | {_cell(one.by)} |")
    return "\n".join(lines) + "\n"


def _count(results: Sequence[Result]) -> str:
    killed = sum(one.fate.startswith("killed") for one in results)
    return f"{killed} of {len(results)} killed."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Run; the exit code is 1 where a mutant by hand survives or is stale, or the tests fail without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="try the mutants by hand whose name holds this, and write no report")
    parser.add_argument(
        "--named", action="store_true", help="try the mutants by hand alone; the rest of the report stays"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many to try at once")
    options = parser.parse_args()
    by_hand = [one for one in NAMED if options.only in one.name]
    by_chance = [] if options.only or options.named else list(generic.mutants(ROOT))
    workers = [Worker(number) for number in range(options.jobs)]
    code, output = workers[0].test(sorted({test for one in (*by_hand, *by_chance) for test in one.tests}), seconds=600)
    if code != 0:
        sys.stdout.write(f"{output}\nThe tests do not pass without a mutant, so none can be tried.\n")
        return 1
    named = tried(by_hand, workers)
    chosen = tried(by_chance, workers)
    if not options.only:
        last = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
        rest = "" if chosen else last[last.find(BY_CHANCE) :] if BY_CHANCE in last else ""
        RESULTS.write_text(_report(named, chosen) + (f"\n{rest}" if rest else ""), encoding="utf-8")
    left = [one for one in named if not one.fate.startswith("killed")]
    for one in left:
        sys.stdout.write(f"{one.fate}: {one.mutant.name} ({one.mutant.file}) {one.by}\n")
    sys.stdout.write(f"By hand: {_count(named)}{f' By chance: {_count(chosen)}' if chosen else ''}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
