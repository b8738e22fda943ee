"""What loading the definitions costs: of this project, and perhaps of another version of it.

    python -m benchmarks.loading [--rounds 7]
    python -m benchmarks.loading --beside PROGRAM     # the Python of an environment with the other version

Each command runs in a new process with caches warm: the import of `indexing_assets.definitions`, that of Dagster as
what nobody saves, and `dagster definitions validate`. Versions take turns, and change places each round. The last needs
a DAGSTER_HOME in versions that know none of their own: all get one, in which the databases are made.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import machine, table, write

GOAL_CPU_S = 2.0

_SEED = 0  # nothing is drawn
_DEFINITIONS = "indexing_assets.definitions"
_COMMANDS = {
    "import dagster": ["-c", "import dagster"],
    "import definitions": ["-c", f"import {_DEFINITIONS}"],
    "dagster definitions validate": ["-m", "dagster", "definitions", "validate", "-m", _DEFINITIONS],
}


def _cpu_s(command: list[str], folder: Path) -> float:
    """Processor seconds of a command and all that it starts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CODE_INDEX_")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, cwd=folder, env={**environment, "DAGSTER_HOME": str(folder)}, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(programs: dict[str, str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Processor seconds of each round, by version and command."""
    with tempfile.TemporaryDirectory() as name:
        folders = {version: Path(name, str(number)) for number, version in enumerate(programs)}
        for version, folder in folders.items():
            folder.mkdir()
            # What the other version calls its instance file is its own.
            text = subprocess.run(
                [
                    programs[version],
                    "-c",
                    "from resources.instance_config import instance_config as text; print(text())",
                ],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
            (folder / "dagster.yaml").write_text(text, encoding="utf-8")
            _cpu_s([programs[version], *_COMMANDS["dagster definitions validate"]], folder)  # makes the databases
        figures: dict[str, dict[str, list[float]]] = {
            version: {command: [] for command in _COMMANDS} for version in programs
        }
        for number in range(rounds):
            for command, arguments in _COMMANDS.items():
                for version in list(programs)[:: 1 if number % 2 else -1]:
                    figures[version][command].append(_cpu_s([programs[version], *arguments], folders[version]))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beside", metavar="PROGRAM", help="the Python of an environment with another version")
    arguments = parser.parse_args()
    before = machine()
    programs = {"this": sys.executable}
    if arguments.beside:
        programs["the other"] = arguments.beside
    figures = measure(programs, arguments.rounds)
    rows = [
        [version, command, statistics.median(values), min(values), max(values)]
        for version, commands in figures.items()
        for command, values in commands.items()
    ]
    reached = statistics.median(figures["this"]["import definitions"])
    verdict = "met" if reached <= GOAL_CPU_S else "missed"
    write(
        "loading",
        seed=_SEED,
        machine_before=before,
        figures=figures,
        markdown=table(["version", "command", "median, processor s", "least", "most"], rows)
        + f"\n\nGoal: definitions load in at most {GOAL_CPU_S:.0f} s of processor time: {verdict}.",
    )


if __name__ == "__main__":
    main()
