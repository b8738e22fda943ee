"""What a search costs from a shell, with a process that serves the index and without it.

    python -m benchmarks.serving PATH [--rounds 15]      # PATH: an indexed repository that nobody serves
    python -m benchmarks.serving FOLDER/repository --index-dir FOLDER/index-576000 --no-watch   # of benchmarks.search_at_size

Each search runs in a new process, caches warm; with and without take turns, so that both meet the same neighbours. Bytes
are the proportional share of memory (PSS) of the process that serves and of its child that follows, after the searches.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.report import machine, table, write
from code_index.index.folder import resolve_index_folder
from code_index.serving.questions import ask
from code_index.serving.server import WHERE

GOAL_S = 0.150

_SEED = 0  # nothing is drawn
_QUERIES = ("read a setting from the environment", "parse", "where errors are reported", "retry with back-off")
_PATIENCE_S = 120.0


@contextmanager
def _served(root: Path, at: Sequence[str], *, watch: bool) -> Iterator[psutil.Process]:
    folder = resolve_index_folder(root, Path(at[1]) if at else None)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*_PROGRAM, "serve", str(root), *at, *([] if watch else ["--no-watch"])], stdout=log, stderr=log
        )
        try:
            ends = time.monotonic() + _PATIENCE_S
            while ask(folder, WHERE, {}) is None:
                if process.poll() is not None or time.monotonic() > ends:
                    raise SystemExit(f"{root} cannot be served")
                time.sleep(0.1)
            ask(folder, "search", {"query": "warm"})
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


_NAMES = {"indexing_assets.operations.following": "follows", "code_index.serving.highlighting": "highlights"}
_PROGRAM = [str(Path(sys.executable).with_name("code-index"))]


def _search(root: Path, at: Sequence[str], query: str, *, alone: bool) -> tuple[float, float]:
    """Seconds until a search has ended, and those of processor time in its own process."""
    # Another setting than that of the process that serves: the command does the work itself.
    environment = {**os.environ, **({"CODE_INDEX_PARSE_WORKERS": "1"} if alone else {})}
    before = os.times()
    started = time.perf_counter()
    command = [*_PROGRAM, "search", query, "--path", str(root), *at]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    took = time.perf_counter() - started
    after = os.times()
    return took, after.children_user + after.children_system - before.children_user - before.children_system


def _pss(process: psutil.Process) -> int:
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1]) * 1024


def main() -> None:
    """Measure and write the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("path", type=Path)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--index-dir", help="folder of the index, where it is not in the repository")
    arguments.add_argument("--no-watch", action="store_true", help="do not follow the repository")
    given = arguments.parse_args()
    at = ["--index-dir", given.index_dir] if given.index_dir else []
    before = machine()
    taken: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with _served(given.path, at, watch=not given.no_watch) as process:
        for number in range(given.rounds):
            for alone in (True, False) if number % 2 else (False, True):
                taken[alone].append(_search(given.path, at, _QUERIES[number % len(_QUERIES)], alone=alone))
        named = {"serves": process} | {
            _NAMES[module]: one for one in process.children() if (module := one.cmdline()[2]) in _NAMES
        }
        memory = {name: _pss(one) for name, one in named.items()}
    rows: list[list[object]] = []
    for alone, times in taken.items():
        took = [seconds for seconds, _ in times]
        rows.append(
            [
                "alone" if alone else "served",
                min(took),
                statistics.median(took),
                max(took),
                statistics.median(cpu for _, cpu in times),
            ]
        )
    reached = statistics.median(seconds for seconds, _ in taken[False])
    verdict = "met" if reached <= GOAL_S else "missed"
    processes = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in memory.items())
    write(
        "serving",
        seed=_SEED,
        machine_before=before,
        figures={"rounds": given.rounds, "searches": rows, "pss_bytes": memory},
        markdown=table(["search", "shortest, s", "median, s", "longest, s", "median, processor s"], rows)
        + f"\n\nProportional memory: {processes}."
        + f"\n\nGoal: a served search takes at most {GOAL_S * 1e3:.0f} ms: {verdict}.",
    )


if __name__ == "__main__":
    main()
