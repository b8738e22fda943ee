"""Commands of two versions on the same files, in turn: what a change costs a user.

    python -m benchmarks.versions OLD_COMMAND NEW_COMMAND [--repeat 25]

Django 5.2, in a git checkout of its own for each version, is indexed with the embedder that needs no model. Then both run
`index` on the unchanged tree and two searches, each in a new process, in turns that change places.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.pipeline import fetch

_SEED = 0  # nothing is drawn
_CORPUS = "Django==5.2"
_COMMANDS = {
    "index, nothing changed": ("index", "{root}"),
    "search by words": ("search", "--mode", "lexical", "-C", "{root}", "request"),
    "search": ("search", "-C", "{root}", "where is a request parsed"),
}


def _checkout(root: Path) -> Path:
    shutil.copytree(fetch(_CORPUS), root)
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", "-C", str(root), *arguments], check=True)
    return root


def _seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, of a command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, cwd="/", check=True, capture_output=True)
    clock, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(programs: dict[str, str], folder: Path, repeat: int) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Seconds by the clock and of the processor of each run, by command and version."""
    own = {"CODE_INDEX_MODEL": "deterministic", "XDG_STATE_HOME": str(folder / "state")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODE_INDEX", "PYTHON"))}
    roots = {version: _checkout(folder / version) for version in programs}
    for version, program in programs.items():
        for _ in range(2):  # the second one finds nothing to do, and records that
            _seconds([program, "index", str(roots[version])], kept | own)
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, arguments in _COMMANDS.items():
        found[name] = {version: [] for version in programs}
        for turn in range(repeat):
            for version in sorted(programs, reverse=bool(turn % 2)):
                command = [programs[version], *(word.format(root=roots[version]) for word in arguments)]
                found[name][version].append(_seconds(command, kept | own))
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--repeat", type=int, default=25)
    arguments = parser.parse_args()
    machine = report.machine()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure({"old": arguments.old, "new": arguments.new}, Path(folder), arguments.repeat)
    rows: list[list[Any]] = []
    for name, runs in figures.items():
        for what, position in (("clock", 0), ("processor", 1)):
            old, new = ([seconds[position] for seconds in runs[version]] for version in ("old", "new"))
            best = min(new) / min(old) - 1
            # Of the runs of one turn: what else the machine does is nearly the same in both.
            typical = statistics.median(after / before for before, after in zip(old, new, strict=True)) - 1
            rows.append([name, what, min(old), min(new), f"{best:+.1%}", f"{typical:+.1%}"])
    header = ["command", "seconds of the", "best, old", "best, new", "best", "median of the ratios"]
    report.write("versions", seed=_SEED, machine_before=machine, figures=figures, markdown=report.table(header, rows))


if __name__ == "__main__":
    main()
