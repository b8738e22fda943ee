"""Searching an index of 576,000 chunks: latency, recall, a cold shell, and all of it while the index is written.

    python -m benchmarks.search_at_size --folder FOLDER                    # 576,000 chunks, about 6 GB of disk
    python -m benchmarks.search_at_size --folder FOLDER --chunks 60000

What the index is made of: `benchmarks.corpus_at_size`. It is built at the first call, in some minutes, and kept.
Queries are first lines of docstrings and names of functions of Django, half each, each different, through
`code_index.search.hybrid.search` with the real model. A search "cold" is a process's first ones; warm is a process that has
searched for some seconds, which then keeps the places of chunks in memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

from benchmarks import report
from benchmarks.corpus_at_size import SEED, base_index, build, copies, work_tree
from benchmarks.pipeline import sample_queries
from code_index.core.content_kinds import ContentKind
from code_index.core.unit_vectors import normalized
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.embedder import Embedder
from code_index.embedding.loader import get_embedder
from code_index.index.folder import IndexFolder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore
from code_index.tables.filters import SearchFilter
from indexing_assets.upkeep.compaction import compact_due
from resources.instance_config import instance_config

REAL_VECTORS = 8_192
WARM_S = 20.0
EXACT_QUERIES = 60
_FILTERED_QUERIES = 10  # of them; an exact filtered search takes up to a second
SHELL_RUNS = 5
WRITTEN_CHUNKS = 2_048  # a commit
_FILTERS = {
    "content = code": SearchFilter(content=ContentKind.CODE),
    "language = python": SearchFilter(languages=("python",)),
    "one of the copies": SearchFilter(subproject="part001"),
    "path db/models/**": SearchFilter(path_glob="part002/django/db/models/**"),
    "test_*.py": SearchFilter(path_glob="test_*.py"),
}


def latency(ask: Callable[[str], object], queries: Sequence[str]) -> dict[str, float]:
    """Milliseconds of each query, and processor milliseconds of all threads, which say more on a busy machine."""
    spent, milliseconds = time.process_time(), []
    for query in queries:
        started = time.perf_counter()
        ask(query)
        milliseconds.append((time.perf_counter() - started) * 1e3)
    spent = time.process_time() - spent
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {
        "p50": float(p50),
        "p99": float(p99),
        "least": min(milliseconds),
        "cpu": spent / len(queries) * 1e3,
        "queries": len(queries),
    }


def warmed(store: IndexStore, encoder: Embedder, queries: Sequence[str]) -> None:
    end = time.monotonic() + WARM_S
    while time.monotonic() < end:
        for query in queries[:20]:
            search(store, encoder, query)


def recall(store: IndexStore, encoder: Embedder, queries: Sequence[str]) -> dict[str, float]:
    """Share of the 10 nearest by exact comparison that the approximate search has among its first 10."""
    shares: dict[str, list[float]] = {"none": [], **{name: [] for name in _FILTERS}}
    for number, query in enumerate(queries):
        vector = encoder.embed_query(query)
        for name, found in shares.items():
            if name in _FILTERS and number >= _FILTERED_QUERIES:
                continue
            where = _FILTERS[name].where() if name in _FILTERS else None
            exact, near = (
                _ids(store.search.near(vector, model=encoder.model_id, limit=limit, where=where, exact=alone))[:10]
                for limit, alone in ((10, True), (100, False))
            )
            if exact:
                found.append(len(set(exact) & set(near)) / len(exact))
    return {name: statistics.mean(found) for name, found in shares.items() if found}


def _ids(found: pa.Table) -> list[str]:
    return list(found.column("chunk_id").to_pylist())


def shell(folder: IndexFolder, queries: Sequence[str]) -> dict[str, dict[str, float]]:
    """Whole processes, with the system's file cache warm: median seconds, on the clock and of the processors."""
    program = Path(sys.executable).with_name("code-index")
    start = [str(program)] if program.exists() else [sys.executable, "-m", "indexing_assets.cli.main"]
    costs = {}
    for mode in SearchMode:
        walls, processors = [], []
        for query in queries[:SHELL_RUNS]:
            before, started = os.times(), time.perf_counter()
            subprocess.run(
                [
                    *start,
                    "search",
                    "-C",
                    str(folder.repository_root),
                    "--index-dir",
                    str(folder.path),
                    "--mode",
                    mode.value,
                    query,
                ],
                check=True,
                capture_output=True,
            )
            after = os.times()
            walls.append(time.perf_counter() - started)
            processors.append(
                after.children_user - before.children_user + after.children_system - before.children_system
            )
        costs[mode.value] = {"wall_s": statistics.median(walls), "cpu_s": statistics.median(processors)}
    return costs


def write_until(tables: Path, end: Any, commits: Any) -> None:
    """Add new chunks and their vectors, a commit of each every second, with the upkeep that the phases do."""
    store = IndexStore(tables)
    model = str(store.vectors.read(["embedding_model"], limit=1).column("embedding_model")[0])
    columns = ["search_text", "content", "language", "chunk_type", "start_line", "end_line"]
    texts = store.chunks.read(columns, limit=WRITTEN_CHUNKS)
    dimension = store.vectors.dimension() or 1
    rng = np.random.default_rng(SEED)
    now, number = datetime.now(UTC), 0
    while not end.is_set():
        path = f"written/{number:05}.py"
        chunk_ids = [f"{number:08x}{place:024x}" for place in range(texts.num_rows)]
        chunks = texts
        for name, values in (
            ("chunk_id", chunk_ids),
            ("file_path", [path] * len(chunk_ids)),
            ("file_hash", ["h"] * len(chunk_ids)),
        ):
            chunks = chunks.append_column(name, pa.array(values))
        store.chunks.replace([path], chunks, now=now)
        values = normalized(rng.standard_normal((len(chunk_ids), dimension), dtype=np.float32))
        rows = {
            "chunk_id": chunk_ids,
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), dimension),
            "text_hash": chunk_ids,
            "embedding_model": [model] * len(chunk_ids),
            "embedded_at": [now] * len(chunk_ids),
            "file_path": [path] * len(chunk_ids),
            "language": chunks.column("language"),
            "chunk_type": chunks.column("chunk_type"),
            "start_line": chunks.column("start_line"),
            "end_line": chunks.column("end_line"),
        }
        store.vectors.add(pa.table(rows))
        compact_due(store, ("chunks", "vectors"))
        number += 1
        commits.value = number
        end.wait(1.0)


def beside_a_writer(tables: Path, encoder: Embedder, queries: Sequence[str]) -> dict[str, Any]:
    """Hybrid search while another process writes; on a copy, which is removed afterwards."""
    copy = tables.with_name(f"{tables.name}-written")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tables, copy)
    try:
        store = IndexStore(copy)
        warmed(store, encoder, queries)
        alone = latency(lambda query: search(store, encoder, query), queries)
        spawn = multiprocessing.get_context("spawn")
        end, commits = spawn.Event(), spawn.Value("i", 0)
        writer = spawn.Process(target=write_until, args=(copy, end, commits), daemon=True)
        writer.start()
        try:
            while not commits.value and writer.is_alive():
                time.sleep(0.1)
            beside = latency(lambda query: search(store, encoder, query), [*queries, *queries])
        finally:
            end.set()
            writer.join()
        return {"alone": alone, "beside": beside, "commits": int(commits.value)}
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def measure(folder: Path, count: int, *, write: bool) -> dict[str, Any]:
    """All figures."""
    encoder = get_embedder(EmbedderConfig(), "query")
    root, place = folder / "repository", folder / f"index-{count}"
    root.mkdir(parents=True, exist_ok=True)
    index = IndexFolder(path=place, repository_root=root)
    index.create(instance_config())
    built = build(index.tables_dir, lambda: copies(folder, encoder, REAL_VECTORS), count)
    store = IndexStore(index.tables_dir)
    work_tree(folder, store)
    queries = sample_queries(base_index(folder))
    figures: dict[str, Any] = {"build": built, "chunks": store.chunks.count(), "vectors": store.vectors.count()}
    compact_due(store, store.tables.names())
    store.upkeep.optimize(timedelta(minutes=10))
    fresh = IndexStore(index.tables_dir)
    started = time.perf_counter()
    search(fresh, encoder, queries[0])
    figures["first_search_ms"] = (time.perf_counter() - started) * 1e3
    warmed(fresh, encoder, queries)
    figures["warm_ms"] = {
        mode.value: latency(lambda query, mode=mode: search(fresh, encoder, query, mode=mode), queries)  # type: ignore[misc]
        for mode in SearchMode
    }
    figures["filtered_ms"] = {
        name: latency(lambda query, chosen=chosen: search(fresh, encoder, query, filters=chosen), queries[::4])  # type: ignore[misc]
        for name, chosen in _FILTERS.items()
    }
    figures["resident_mib"] = psutil.Process().memory_info().rss >> 20
    figures["recall"] = recall(fresh, encoder, queries[:: max(1, len(queries) // EXACT_QUERIES)])
    figures["shell"] = shell(index, queries)
    figures["disk_bytes"] = store.upkeep.disk_bytes()
    if write:
        figures["writing"] = beside_a_writer(index.tables_dir, encoder, queries)
    return figures


def _markdown(figures: dict[str, Any]) -> str:
    rows: list[list[object]] = [["chunks, vectors", f"{figures['chunks']:,}, {figures['vectors']:,}", ""]]

    def row(name: str, cost: dict[str, float], goal: str = "") -> None:
        said = f"{cost['p50']:.1f} / {cost['p99']:.1f} ms (least {cost['least']:.1f}, processor {cost['cpu']:.1f})"
        rows.append([name, said, goal])

    for mode, cost in figures["warm_ms"].items():
        row(f"{mode}, warm, p50 / p99", cost, "8 / 20 ms" if mode == "hybrid" else "")
    for name, cost in figures["filtered_ms"].items():
        row(f"hybrid, {name}", cost)
    rows.append(["first search of a process that is there", f"{figures['first_search_ms']:.0f} ms", ""])
    for name, share in figures["recall"].items():
        rows.append([f"recall@10, filter: {name}", share, "0.98"])
    for mode, cost in figures["shell"].items():
        rows.append([f"{mode}, cold shell", f"{cost['wall_s']:.2f} s ({cost['cpu_s']:.2f} s of processor)", "1.5 s"])
    if writing := figures.get("writing"):
        row("hybrid, nobody writes", writing["alone"])
        times = writing["beside"]["p50"] / writing["alone"]["p50"]
        row(f"hybrid, beside a writer ({writing['commits']} commits of {WRITTEN_CHUNKS:,} chunks)", writing["beside"])
        rows.append(["times as long at the median", times, "1.5"])
    per_chunk = ", ".join(f"{name} {size / figures['chunks']:,.0f}" for name, size in figures["disk_bytes"].items())
    rows.append(["bytes a chunk", per_chunk, ""])
    rows.append(["resident memory of the searching process", f"{figures['resident_mib']:,} MiB", ""])
    return report.table(["", "measured", "goal"], rows)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Search at size.")
    parser.add_argument("--folder", type=Path, required=True, help="where the index is kept")
    parser.add_argument("--chunks", type=int, default=576_000)
    parser.add_argument("--no-writer", action="store_true", help="leave out the part beside a writer")
    arguments = parser.parse_args()
    before = report.machine()
    figures = measure(arguments.folder.resolve(), arguments.chunks, write=not arguments.no_writer)
    report.write("search_at_size", seed=SEED, machine_before=before, figures=figures, markdown=_markdown(figures))


if __name__ == "__main__":
    main()
