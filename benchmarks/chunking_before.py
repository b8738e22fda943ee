"""Chunking beside an older checkout: the same files, in turn, and how many chunks differ.

    python -m benchmarks.chunking_before CHECKOUT                        # Django 5.2 and Flask 3.1.1
    python -m benchmarks.chunking_before CHECKOUT --projects             # and one project of each of six other languages
    python -m benchmarks.chunking_before CHECKOUT PATH [PATH ...] [--rounds 5]
    python -m benchmarks.chunking_before CHECKOUT --phase                # the whole phase instead

One process for each side holds the contents in memory; both are up, and their grammars loaded. They take turns, a few
files at a time, so that both meet the same load. Each tells the languages by its own rules, masks keys and chunks; of
each file the fastest of the rounds counts, in seconds of the processor. *Same syntax* leaves out the files of languages
that the older side takes for another one, or whose syntax it does not know: what is only cut at blank lines costs little.

With `--phase` each side parses the project into a new index, a process each time, in turn: parser processes, tables with their
indexes, Dagster's records and checks. Seconds of all processors, and by the clock; the medians, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks import report
from benchmarks.languages import fetch
from benchmarks.pipeline import PINNED
from code_index.core.model import FileStatus
from code_index.repository.source_repository import SourceRepository

GOAL_RATIO = 1.1
GOAL_RATIO_PHASE = 1.3
_SEED = 0  # nothing is drawn
_FILES_A_TURN = 20
_PROCESS = Path(__file__).with_name("chunking_process.py")
_PROJECTS = (
    *(("pypi", pinned) for pinned in PINNED),
    ("debian", "redis=5:7.0.15-1~deb12u10"),
    ("debian", "fmtlib=9.1.0+ds1-2"),
    ("npm", "rxjs@7.8.2"),
    ("debian", "libcommons-lang3-java=3.12.0-2+deb12u1"),
    ("deb", "ruby-rack=2.2.22-0+deb12u2"),
    ("debian", "php-monolog=2.9.1-1"),
)


class Side:
    """A process that chunks with the code of one checkout; a context manager."""

    def __init__(self, checkout: Path, paths: Sequence[Path]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, _PROCESS],
            env=_environment(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.languages: list[tuple[str, bool]] = self.ask([str(path) for path in paths])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, question: object) -> Any:
        """The answer of the process."""
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError("the process has no pipes")
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("a process ended; what it wrote is above")
        return json.loads(answer)


def _environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout), "CODE_INDEX_MODEL": "deterministic"}


def measure_phase(root: Path, older: Path, rounds: int) -> dict[str, Any]:
    """Seconds of the parse phase of both sides for one project, of the processors and by the clock."""
    spent: tuple[list[list[float]], list[list[float]]] = ([], [])
    checkouts = older, Path(__file__).parents[1]
    for count in range(rounds):
        for side in (0, 1) if count % 2 else (1, 0):
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [sys.executable, _PROCESS, root, Path(folder, "index")],
                    env=_environment(checkouts[side]),
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
            spent[side].append(json.loads(done.stdout.splitlines()[-1]))
            print(root.name, ("before", "now")[side], *(f"{seconds:.1f} s" for seconds in spent[side][-1]), flush=True)
    (before, before_clock), (now, now_clock) = (map(statistics.median, zip(*each, strict=True)) for each in spent)
    return {
        "rounds": spent,
        "before_s": before,
        "now_s": now,
        "ratio": now / before,
        "before_clock_s": before_clock,
        "now_clock_s": now_clock,
        "ratio_clock": now_clock / before_clock,
    }


def _phases(roots: Sequence[Path], older: Path, rounds: int) -> None:
    machine = report.machine()
    figures = {root.name: measure_phase(root, older, rounds) for root in roots}
    rows = [
        [
            name,
            f"{found['before_s']:.1f} / {found['now_s']:.1f}",
            f"{found['ratio']:.2f}",
            f"{found['before_clock_s']:.1f} / {found['now_clock_s']:.1f}",
            f"{found['ratio_clock']:.2f}",
        ]
        for name, found in figures.items()
    ]
    header = ["", "before / now, s", f"times before (goal {GOAL_RATIO_PHASE:g})", "by the clock, s", "times before"]
    report.write(
        "parse_phase_before",
        seed=_SEED,
        machine_before=machine,
        figures=figures,
        markdown=report.table(header, rows),
        module="chunking_before",
    )


def measure(root: Path, older: Path, rounds: int) -> dict[str, Any]:
    """Seconds of the processor of both sides for one project, by language, and the differences of their chunks."""
    files = [file for file in SourceRepository(root).scan({}).files if file.status is FileStatus.PENDING]
    paths = [root / file.file_path for file in files]
    turns = [list(range(len(paths)))[first : first + _FILES_A_TURN] for first in range(0, len(paths), _FILES_A_TURN)]
    best = [[[float("inf")] * 2 for _ in paths] for _ in range(2)]
    ratios = []
    with Side(older, paths) as before, Side(Path(__file__).parents[1], paths) as now:
        for count in range(rounds):
            seconds = [0.0, 0.0]
            for turn in turns:
                for side in (0, 1) if count % 2 else (1, 0):
                    for number, answer in zip(turn, (before, now)[side].ask(turn), strict=True):
                        best[side][number] = [min(pair) for pair in zip(best[side][number], answer, strict=True)]
                        seconds[side] += sum(answer)
            ratios.append(seconds[1] / seconds[0])
        digests = before.ask(None), now.ask(None)
    groups: dict[str, list[int]] = defaultdict(list)
    for number, ((old, was_known), (new, is_known)) in enumerate(zip(before.languages, now.languages, strict=True)):
        is_new = old != new or (is_known and not was_known)
        groups["all files"].append(number)
        groups["new syntax" if is_new else "same syntax"].append(number)
        groups[new if old == new else f"{new}, was {old}"].append(number)
    figures: dict[str, Any] = {}
    for name, numbers in groups.items():
        parts = [[sum(best[side][number][part] for number in numbers) for part in (0, 1)] for side in (0, 1)]
        differing = [Counter(digests[0][number]) - Counter(digests[1][number]) for number in numbers]
        figures[name] = {
            "files": len(numbers),
            "chunks": sum(len(digests[1][number]) for number in numbers),
            "chunks_before": sum(len(digests[0][number]) for number in numbers),
            "changed": sum(found.total() for found in differing),
            "before_s": sum(parts[0]),
            "now_s": sum(parts[1]),
            "ratio": sum(parts[1]) / sum(parts[0]),
            "ratio_chunking": parts[1][1] / parts[0][1],
        }
    figures["all files"]["median_of_rounds"] = statistics.median(ratios)
    slowest = sorted(range(len(paths)), key=lambda number: sum(best[0][number]) - sum(best[1][number]))[:10]
    figures["slowest"] = [
        [files[number].file_path, now.languages[number][0], *(sum(best[side][number]) for side in (0, 1))]
        for number in slowest
    ]
    return figures


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("older", type=Path, metavar="CHECKOUT", help="the older checkout")
    parser.add_argument("paths", type=Path, nargs="*", help=f"repositories; by default {', '.join(PINNED)}")
    parser.add_argument("--projects", action="store_true", help="one project of each of several languages, too")
    parser.add_argument("--phase", action="store_true", help="the whole parse phase instead of chunking")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--languages", action="store_true", help="show each language, and the files that lost most")
    arguments = parser.parse_args()
    machine = report.machine()
    projects = _PROJECTS if arguments.projects else _PROJECTS[: len(PINNED)]
    roots = [path.resolve() for path in arguments.paths] or [fetch(*project) for project in projects]
    if arguments.phase:
        _phases(roots, arguments.older.resolve(), arguments.rounds)
        return
    figures: dict[str, Any] = {}
    rows = []
    for root in roots:
        figures[root.name] = found = measure(root, arguments.older.resolve(), arguments.rounds)
        for name, group in found.items():
            if name == "slowest":
                continue
            if not arguments.languages and name not in {"all files", "same syntax"}:
                continue
            rows.append(
                [
                    f"{root.name}, {name}",
                    group["files"],
                    f"{group['chunks_before']:,} / {group['chunks']:,} / {group['changed']:,}",
                    f"{group['before_s']:.2f}",
                    f"{group['now_s']:.2f}",
                    f"{group['ratio']:.2f} / {group['ratio_chunking']:.2f}",
                    f"{group['median_of_rounds']:.2f}" if "median_of_rounds" in group else "",
                ]
            )
            print(rows[-1], flush=True)
        if arguments.languages:
            print(*found["slowest"], sep="\n", flush=True)
    header = [
        *("", "files", "chunks before / now / changed", "before, s", "now, s"),
        *(f"times before: all / chunking (goal {GOAL_RATIO:g})", "median of the rounds"),
    ]
    report.write(
        "chunking_before", seed=_SEED, machine_before=machine, figures=figures, markdown=report.table(header, rows)
    )


if __name__ == "__main__":
    main()
