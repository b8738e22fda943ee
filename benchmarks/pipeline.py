"""What the pipeline costs: time, memory and disk of each phase, of a change, of no change, and of a search.

    python -m benchmarks.pipeline                 # Django 5.2 and Flask 3.1.1
    python -m benchmarks.pipeline PATH [PATH ...]

The default corpora are pinned source distributions, fetched once through pip into `.corpora`.
Each corpus is copied and indexed into a temporary folder: neither it nor an index of it is touched.
Phases run in one process per corpus, as `code-index index` runs them; "shell" figures are whole processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dagster as dg
import numpy as np
import psutil
from tree_sitter_language_pack import get_parser

from benchmarks import report
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.loader import get_embedder
from code_index.index.folder import IndexFolder
from code_index.search.hybrid import QueryEncoder, SearchMode, search
from code_index.system.hardware import available_processors
from code_index.tables import IndexStore
from code_index.tables.sql import equals
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.in_process import PhaseResult

_CORPORA = Path(__file__).parent / ".corpora"
PINNED = ("Django==5.2", "flask==3.1.1")
_SEED = 20_250_101
_QUERIES = 200
_SHELL_RUNS = 5
_SAMPLE_S = 0.05
_MIB = 1 << 20
_FUNCTION = re.compile(r"^( *)def \w+\(.*\).*:\n", re.MULTILINE)


class MemoryPeak:
    """Largest resident memory of this process (or `pid`) and of its children, sampled while the block runs.

    Children's pages are summed as they are, so pages that several of them share count several times.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._process = psutil.Process(pid)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.main_bytes = 0
        self.children_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def figures(self) -> dict[str, int]:
        return {"main_mib": self.main_bytes // _MIB, "workers_mib": self.children_bytes // _MIB}

    def _sample(self) -> None:
        while not self._end.wait(_SAMPLE_S):
            try:
                self.main_bytes = max(self.main_bytes, self._process.memory_info().rss)
                children = self._process.children(recursive=True)
            except psutil.NoSuchProcess:
                return
            self.children_bytes = max(self.children_bytes, sum(map(_resident, children)))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


@dataclass(frozen=True, slots=True)
class Timed:
    """A phase's result with its cost."""

    result: PhaseResult
    seconds: float
    memory: dict[str, int]


def timed(phase: Callable[[], PhaseResult]) -> Timed:
    """Run a phase; a failure ends the benchmark."""
    with MemoryPeak() as peak:
        started = time.perf_counter()
        result = phase()
        seconds = time.perf_counter() - started
    if result.error is not None and not result.partial:
        raise SystemExit(f"The phase failed: {result.error}")
    return Timed(result, seconds, peak.figures())


def fetch(requirement: str) -> Path:
    """The unpacked source distribution of a pinned requirement; downloaded at the first call."""
    name = requirement.replace("==", "-").lower()
    target = _CORPORA / name
    if not target.is_dir():
        with tempfile.TemporaryDirectory() as temporary:
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"),
                    *("--dest", temporary, requirement),
                ],
                check=True,
            )
            (archive,) = Path(temporary).glob("*.tar.gz")
            unpacked = Path(temporary) / "unpacked"
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
            (only,) = unpacked.iterdir()
            _CORPORA.mkdir(exist_ok=True)
            shutil.move(only, target)
    return target


@contextmanager
def copied(corpus: Path) -> Iterator[Path]:
    """A copy of the corpus, without an index, that may be edited; beside it is room for an index."""
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / corpus.name
        shutil.copytree(corpus, target, symlinks=True, ignore=shutil.ignore_patterns(".git", ".code-index"))
        yield target


def measure(corpus: Path) -> dict[str, Any]:
    """All figures of one corpus."""
    with copied(corpus) as root:
        folder = IndexFolder(path=root.parent / "index", repository_root=root)
        figures: dict[str, Any] = {}
        with Pipeline(folder) as pipeline:
            started = time.perf_counter()
            encoder = get_embedder(EmbedderConfig(model=pipeline.settings.embedder.model), "query")
            figures["model"] = {"load_s": time.perf_counter() - started, "is": encoder.describe()}
            figures |= _first_index(pipeline, root)
            figures["disk"] = _disk(folder, pipeline.store)
            figures["no_change"] = _no_change(pipeline)
            figures["one_function_edited"] = _edit(pipeline, root)
            queries = sample_queries(pipeline.store)
            figures["search_warm_ms"] = {
                mode.value: _warm_latency(pipeline.store, encoder, queries, mode) for mode in SearchMode
            }
        figures["shell"] = _shell(folder, queries)
        return figures


def _first_index(pipeline: Pipeline, root: Path) -> dict[str, Any]:
    scan = timed(pipeline.scan)
    parse = timed(pipeline.parse)
    embed = timed(pipeline.embed)
    store = pipeline.store
    manifest = store.files.read(columns=["file_path", "size_bytes", "language", "status"]).to_pylist()
    parsed = [row for row in manifest if row["status"] == "parsed"]
    files, chunks = len(parsed), store.chunks.count()
    bare_s = _bare_parse_s(root, parsed)
    workers = pipeline.settings.parse_workers or available_processors()
    return {
        "files": files,
        "bytes": sum(row["size_bytes"] for row in parsed),
        "chunks": chunks,
        "scan": {"s": scan.seconds, "files_per_s": len(manifest) / scan.seconds, **scan.memory},
        "parse": {
            "s": parse.seconds,
            "files_per_s": files / parse.seconds,
            "chunks_per_s": chunks / parse.seconds,
            "workers": workers,
            "tree_sitter_alone_s": bare_s,
            "times_tree_sitter": parse.seconds * workers / bare_s,
            **parse.memory,
        },
        "embed": {
            "s": embed.seconds,
            "chunks_per_s": chunks / embed.seconds,
            "files_per_s": files / embed.seconds,
            **last_run(pipeline, "chunk_vectors", ("run_embedded", "run_reused", "model_s", "device")),
            **embed.memory,
        },
    }


def _bare_parse_s(root: Path, parsed: Sequence[dict[str, Any]]) -> float:
    """Seconds that tree-sitter alone takes, in one process, for the files that have a grammar."""
    seconds = 0.0
    for row in parsed:
        try:
            parser = get_parser(row["language"])
        except LookupError:
            continue
        content = (root / row["file_path"]).read_bytes()
        started = time.perf_counter()
        parser.parse(content)
        seconds += time.perf_counter() - started
    return seconds


def _disk(folder: IndexFolder, store: IndexStore) -> dict[str, Any]:
    chunks, files = store.chunks.count(), store.files.read(columns=["file_path"]).num_rows
    tables = {path.name.removesuffix(".lance"): _size(path) for path in folder.tables_dir.glob("*.lance")}
    records = _size(folder.dagster_home)
    return {
        "tables_bytes": tables,
        "tables_bytes_per_chunk": sum(tables.values()) / chunks,
        "dagster_bytes": records,
        "dagster_bytes_per_file": records / files,
        "dagster_bytes_per_chunk": records / chunks,
    }


def _size(folder: Path) -> int:
    # A write-ahead log goes as its database is closed.
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-wal"))
    return sum(path.stat().st_size for path in files)


def _no_change(pipeline: Pipeline) -> dict[str, float]:
    phases = {"scan": timed(pipeline.scan), "parse": timed(pipeline.parse), "embed": timed(pipeline.embed)}
    if phases["parse"].result.partitions or phases["embed"].result.partitions:
        raise SystemExit("An unchanged tree was indexed again.")
    return {f"{name}_s": phase.seconds for name, phase in phases.items()}


def _edit(pipeline: Pipeline, root: Path) -> dict[str, Any]:
    """Change one function of the Python file with the most functions, and index again."""
    target = max(
        sorted(root.rglob("*.py")), key=lambda path: len(_FUNCTION.findall(path.read_text("utf-8", "replace")))
    )
    text = target.read_text("utf-8")
    matches = list(_FUNCTION.finditer(text))
    match = matches[len(matches) // 2]
    statement = f"{match[1]}    benchmark_marker = 'edited by the benchmark'\n"
    target.write_text(text[: match.end()] + statement + text[match.end() :], "utf-8")
    started = time.perf_counter()
    phases = {"scan": timed(pipeline.scan), "parse": timed(pipeline.parse), "embed": timed(pipeline.embed)}
    path = target.relative_to(root).as_posix()
    return {
        "s": time.perf_counter() - started,
        **{f"{name}_s": phase.seconds for name, phase in phases.items()},
        "file": path,
        "chunks_of_file": pipeline.store.chunks.read(["chunk_id"], equals("file_path", path)).num_rows,
        "files_parsed": phases["parse"].result.partitions,
        "batches": phases["embed"].result.partitions,
        **last_run(pipeline, "chunk_vectors", ("run_embedded", "run_reused")),
    }


def last_run(pipeline: Pipeline, asset: str, names: Sequence[str]) -> dict[str, Any]:
    """Figures in the metadata of an asset's newest materialization."""
    event = pipeline.instance.get_latest_materialization_event(dg.AssetKey(asset))
    if event is None or event.asset_materialization is None:
        raise SystemExit(f"{asset} has no materialization.")
    metadata = event.asset_materialization.metadata
    return {name: metadata[name].value for name in names}


def sample_queries(store: IndexStore) -> list[str]:
    """Queries of two kinds, half each: first lines of docstrings, and names of functions; the same for a seed."""
    rows = store.chunks.read(columns=["chunk_id", "docstring", "function_name"]).sort_by("chunk_id").to_pylist()
    phrases = [row["docstring"].strip().splitlines()[0] for row in rows if (row["docstring"] or "").strip()]
    names = [row["function_name"] for row in rows if row["function_name"]]
    rng = random.Random(_SEED)
    return [rng.choice(pool) for pool in (phrases or names, names) for _ in range(_QUERIES // 2)]


def _warm_latency(
    store: IndexStore, encoder: QueryEncoder, queries: Sequence[str], mode: SearchMode
) -> dict[str, float]:
    for query in queries[:5]:
        search(store, encoder, query, mode=mode)
    milliseconds = []
    for query in queries:
        started = time.perf_counter()
        search(store, encoder, query, mode=mode)
        milliseconds.append((time.perf_counter() - started) * 1e3)
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "queries": len(queries)}


def _shell(folder: IndexFolder, queries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Cost of whole processes, with the system's file cache warm."""
    program = str(Path(sys.executable).with_name("code-index"))
    place = ["--index-dir", str(folder.path)]
    root = str(folder.repository_root)
    commands = {
        "index_no_change": [program, "index", root, *place],
        **{
            f"search_{mode.value}": [program, "search", "-C", root, *place, "--mode", mode.value, queries[0]]
            for mode in SearchMode
        },
    }
    return {name: _process_cost(command) for name, command in commands.items()}


def _process_cost(command: Sequence[str]) -> dict[str, float]:
    """Median seconds of whole runs: on the clock, and of the processors, which says more on a busy machine."""
    walls, processors = [], []
    for _ in range(_SHELL_RUNS):
        before, started = os.times(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        walls.append(time.perf_counter() - started)
        processors.append(after.children_user - before.children_user + after.children_system - before.children_system)
    return {"wall_s": statistics.median(walls), "cpu_s": statistics.median(processors)}


def _markdown(corpora: dict[str, dict[str, Any]]) -> str:
    rows: dict[str, list[object]] = {}
    for figures in corpora.values():
        for name, cell in _cells(figures).items():
            rows.setdefault(name, []).append(cell)
    return report.table(["", *corpora], [[name, *cells] for name, cells in rows.items()])


def _cells(f: dict[str, Any]) -> dict[str, str]:
    scan, parse, embed, disk, edit, shell = (
        f[name] for name in ("scan", "parse", "embed", "disk", "one_function_edited", "shell")
    )
    quiet = f["no_change"]

    def memory(phase: dict[str, Any]) -> str:
        return f"{phase['main_mib']:,} / {phase['workers_mib']:,} MiB"

    def process(cost: dict[str, float]) -> str:
        return f"{cost['wall_s']:.2f} s ({cost['cpu_s']:.2f} s of processor)"

    return {
        "files, MB, chunks": f"{f['files']:,}, {f['bytes'] / 1e6:.1f}, {f['chunks']:,}",
        "scan": f"{scan['s']:.2f} s, {scan['files_per_s']:,.0f} files/s",
        "parse and chunk": f"{parse['s']:.1f} s, {parse['files_per_s']:,.0f} files/s, {parse['chunks_per_s']:,.0f} chunks/s",
        "whole phase, times tree-sitter alone": f"{parse['times_tree_sitter']:.1f}",
        "embed": f"{embed['s']:.1f} s, {embed['chunks_per_s']:,.1f} chunks/s",
        "of that the model": f"{embed['model_s']:.1f} s",
        "peak memory, parse: main / workers": memory(parse),
        "peak memory, embed: main / workers": memory(embed),
        "tables, bytes per chunk": f"{disk['tables_bytes_per_chunk']:,.0f}",
        "Dagster's records, bytes per file": f"{disk['dagster_bytes_per_file']:,.0f}",
        "Dagster's records, bytes per chunk": f"{disk['dagster_bytes_per_chunk']:,.0f}",
        "nothing changed, warm process": f"{sum(quiet.values()):.2f} s",
        "nothing changed, `code-index index`": process(shell["index_no_change"]),
        "one function edited, warm process": (
            f"{edit['s']:.2f} s: {edit['files_parsed']} file parsed, {edit['run_embedded']} chunks embedded "
            f"of {edit['chunks_of_file']}"
        ),
        **{
            f"search {mode}, warm p50 / p99": f"{cost['p50']:.1f} / {cost['p99']:.1f} ms"
            for mode, cost in f["search_warm_ms"].items()
        },
        **{f"search {mode.value}, shell": process(shell[f"search_{mode.value}"]) for mode in SearchMode},
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Cost of the pipeline on repositories.")
    parser.add_argument("paths", type=Path, nargs="*", help=f"repositories; by default {', '.join(PINNED)}")
    arguments = parser.parse_args()
    before = report.machine()
    corpora = [path.resolve() for path in arguments.paths] or [fetch(requirement) for requirement in PINNED]
    figures = {}
    for corpus in corpora:
        print(f"{corpus.name} ...", flush=True)
        # A process each: what one corpus leaves in memory is not the next one's.
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
            figures[corpus.name] = process.submit(measure, corpus).result()
    report.write("pipeline", seed=_SEED, machine_before=before, figures=figures, markdown=_markdown(figures))


if __name__ == "__main__":
    main()
