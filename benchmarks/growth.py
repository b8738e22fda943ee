"""How time, memory and disk grow with a repository: 1,000, 10,000 and 60,000 files, both phases.

    python -m benchmarks.growth                        # 1,000 and 10,000 files
    python -m benchmarks.growth --long                 # and 60,000, about 576,000 chunks
    python -m benchmarks.growth --files 500 --model sentence-transformers/all-MiniLM-L6-v2

Trees come from `benchmarks.trees`. Each is indexed by a process of its own, as `code-index index` does it, with the
embedder that needs no model (hashed trigrams), since a model's time grows with the chunks and with nothing else;
`--model default` takes the model of the settings. Memory is resident and sampled over the whole run: of this process, and of the
largest parser process. Goals: a file costs no more time and disk in a large tree than in a smaller one
(linear; a small tree pays the start of each phase), 576,000 chunks parsed under 1.5 GB and 400 MB a process and embedded
under 0.9 GB. The plot goes to `benchmarks/.results/growth.png`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks import report, trees
from code_index.index.contents import folder_bytes
from code_index.index.folder import IndexFolder
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.in_process import PhaseResult

_SEED = 0
_SHORT = (1_000, 10_000)
_LONG = (1_000, 10_000, 60_000)
_SAMPLE_S = 0.25
_MIB = 1 << 20
_GOAL_MAIN_MIB = 1_500
_GOAL_WORKER_MIB = 400
_GOAL_EMBED_MIB = 900
_LINEAR = 1.25  # what still counts as linear beside other work on the machine
_LINEAR_EMBED = 1.1


@dataclass
class Memory:
    """Resident memory of this process and of its largest child over time; samples while the block runs."""

    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        process, started = psutil.Process(), time.perf_counter()
        while not self._end.wait(_SAMPLE_S):
            largest = 0
            for child in process.children(recursive=True):
                try:
                    largest = max(largest, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            self.samples.append((time.perf_counter() - started, process.memory_info().rss, largest))

    def peak_mib(self) -> tuple[int, int]:
        """Largest of this process, and of any child."""
        return (
            max((main for _, main, _ in self.samples), default=0) // _MIB,
            max((child for _, _, child in self.samples), default=0) // _MIB,
        )


def _phase(run: Callable[[], PhaseResult]) -> dict[str, Any]:
    with Memory() as memory:
        started, before = time.perf_counter(), os.times()
        result = run()
        seconds, after = time.perf_counter() - started, os.times()
    if result.error is not None:
        raise SystemExit(f"The phase failed: {result.error}")
    main, worker = memory.peak_mib()
    return {
        "s": seconds,
        "cpu_s": sum(after[:4]) - sum(before[:4]),
        "main_mib": main,
        "worker_mib": worker,
        "samples": [(round(at, 2), main >> 20, child >> 20) for at, main, child in memory.samples],
    }


def measure(files: int, model: str) -> dict[str, Any]:
    """Build a tree, index it, and say what that cost."""
    if model != "default":
        os.environ["CODE_INDEX_MODEL"] = model
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "tree"
        root.mkdir()
        source_bytes = trees.build(root, files, seed=_SEED)
        folder = IndexFolder(path=Path(temporary) / "index", repository_root=root)
        with Pipeline(folder) as pipeline:
            phases = {name: _phase(getattr(pipeline, name)) for name in ("scan", "parse", "embed")}
            started = time.perf_counter()
            for name in ("scan", "parse", "embed"):
                if getattr(pipeline, name)().error is not None:
                    raise SystemExit("The second run failed.")
            unchanged_s = time.perf_counter() - started
            chunks = pipeline.store.chunks.count()
        # Closed, a database has all of it in its file.
        return {
            "files": files,
            "chunks": chunks,
            "source_bytes": source_bytes,
            "tables_bytes": folder_bytes(folder.tables_dir),
            "records_bytes": folder_bytes(folder.dagster_home),
            "unchanged_s": unchanged_s,
            **phases,
        }


def _rows(figures: list[dict[str, Any]]) -> list[list[object]]:
    def line(name: str, goal: str, value: Callable[[dict[str, Any]], str]) -> list[object]:
        return [name, *map(value, figures), goal]

    def a_file(phase: str) -> Callable[[dict[str, Any]], str]:
        def shown(f: dict[str, Any]) -> str:
            wall = f[phase]["s"] / f["files"] * 1e3
            smaller = [one[phase]["cpu_s"] / one["files"] for one in figures if one["files"] < f["files"]]
            times = f", {f[phase]['cpu_s'] / f['files'] / min(smaller):.2f} x" if smaller else ""
            return f"{f[phase]['s']:.1f} s, {wall:.2f} ms a file{times}"

        return shown

    def of_disk(name: str) -> Callable[[dict[str, Any]], str]:
        return lambda f: f"{f[name] / f['files']:,.0f} a file, {f[name] / f['chunks']:,.0f} a chunk"

    linear, as_linear = (
        f"at most {most:g} x the processor time a file of the cheapest smaller tree"
        for most in (_LINEAR, _LINEAR_EMBED)
    )
    return [
        line("files, chunks, MB", "", lambda f: f"{f['files']:,}, {f['chunks']:,}, {f['source_bytes'] / 1e6:.0f}"),
        line("scan", linear, a_file("scan")),
        line("parse", linear, a_file("parse")),
        line("embed (without a model unless named)", as_linear, a_file("embed")),
        line("nothing changed, all phases, warm", "under 5 s", lambda f: f"{f['unchanged_s']:.2f} s"),
        line("tables, bytes", "no more a file than the smallest", of_disk("tables_bytes")),
        line("Dagster's records, bytes", "under 6,000 a file", of_disk("records_bytes")),
        *(
            line(
                f"peak memory, {phase}: main / largest worker",
                {"parse": f"{_GOAL_MAIN_MIB:,} / {_GOAL_WORKER_MIB} MiB", "embed": f"{_GOAL_EMBED_MIB} MiB"}.get(
                    phase, ""
                ),
                lambda f, phase=phase: f"{f[phase]['main_mib']:,} / {f[phase]['worker_mib']:,} MiB",  # type: ignore[misc]
            )
            for phase in ("scan", "parse", "embed")
        ),
    ]


def plot(figures: list[dict[str, Any]], target: Path) -> None:
    """Time, disk and memory against files, with the goals dashed."""
    from matplotlib.figure import Figure

    files = [f["files"] for f in figures]
    first = figures[0]
    page = Figure(figsize=(11, 3.4), layout="constrained")
    time_of, disk_of, memory_of = page.subplots(1, 3)
    for phase in ("scan", "parse", "embed"):
        time_of.plot(files, [f[phase]["cpu_s"] for f in figures], marker="o", label=phase)
        time_of.plot(files, [first[phase]["cpu_s"] * n / files[0] for n in files], color="gray", linestyle=":")
    time_of.set_title("processor seconds (dotted: linear)")
    for name, label in (("tables_bytes", "tables"), ("records_bytes", "Dagster's records")):
        disk_of.plot(files, [f[name] / 1e6 for f in figures], marker="o", label=label)
        disk_of.plot(files, [first[name] / 1e6 * n / files[0] for n in files], color="gray", linestyle=":")
    disk_of.set_title("disk, MB (dotted: linear)")
    memory_of.plot(files, [f["parse"]["main_mib"] for f in figures], marker="o", label="main, parse")
    memory_of.plot(files, [f["embed"]["main_mib"] for f in figures], marker="o", label="main, embed")
    memory_of.plot(files, [f["parse"]["worker_mib"] for f in figures], marker="o", label="a parser process")
    memory_of.axhline(_GOAL_MAIN_MIB, color="gray", linestyle="--")
    memory_of.axhline(_GOAL_WORKER_MIB, color="gray", linestyle="--")
    memory_of.set_title("peak memory, MiB (dashed: goals)")
    for axes in (time_of, disk_of):
        axes.set_yscale("log")
    for axes in (time_of, disk_of, memory_of):
        axes.set_xscale("log")
        axes.set_xticks(files, [f"{n:,}" for n in files])
        axes.minorticks_off()
        axes.set_xlabel("files")
        axes.legend(fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.savefig(target, dpi=110)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="How the cost of an index grows with the repository.")
    parser.add_argument("--files", type=int, nargs="+", help=f"sizes; by default {', '.join(map(str, _SHORT))}")
    parser.add_argument("--long", action="store_true", help=f"sizes {', '.join(map(str, _LONG))}")
    parser.add_argument("--model", default="deterministic", help="`default` for the model of the settings, or a name")
    parser.add_argument("--plot", type=Path, default=report.RESULTS / "growth.png", help="where the plot goes")
    arguments = parser.parse_args()
    machine = report.machine()
    figures = []
    for files in arguments.files or (_LONG if arguments.long else _SHORT):
        print(f"{files:,} files ...", flush=True)
        # A process each: what one tree leaves in memory is not the next one's.
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
            figures.append(process.submit(measure, files, arguments.model).result())
    plot(figures, arguments.plot)
    header = ["", *(f"{f['files']:,} files" for f in figures), "goal"]
    report.write(
        "growth",
        seed=_SEED,
        machine_before=machine,
        figures={str(f["files"]): f for f in figures},
        markdown=report.table(header, _rows(figures)),
    )
    print(f"Plot: {arguments.plot}")


if __name__ == "__main__":
    main()
