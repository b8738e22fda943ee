"""What constant change leaves behind: thousands of small edits, each indexed at once, against a fresh index of the result.

    python -m benchmarks.edits [PATH] [--edits 2000] [--model deterministic]
    python -m benchmarks.edits --rapid --edits 400        # edits within minutes of each other

Each edit changes, adds, deletes, renames or puts back one function's file in a copy of the corpus (by default
Flask 3.1.1) and runs both phases in this process. Nobody calls `cleanup`: what is measured is what the phases
clean by themselves. Versions of tables stay for at least 10 minutes for readers, vectors of old code for 30 days. The
edits of a year lie hours apart; here they follow one another within a second or so, and a second stands for four hours:
versions stay for a twenty-fourth of a second, unused vectors for three minutes. With `--rapid` both stay as long as
they do for users, and the last edits come after a rest of ten minutes. Compared with a fresh index are the state after each of the last edits (median and largest), and
the state after `index` ran three times with nothing to do.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.pipeline import copied, fetch, sample_queries
from benchmarks.report import machine, table, write
from code_index.index.folder import IndexFolder
from code_index.search.hybrid import search
from code_index.tables import IndexStore
from code_index.tables import table_upkeep as maintenance
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.upkeep import compaction, expiry

_SEED = 20_261_125
_DEFAULT = "flask==3.1.1"
_LOOKS = 5
_OPENS = 20
_QUERIES = 100
_LAST = 100
_AFTER_REST = 10
_IDLE_RUNS = 3  # so many take away what compaction left behind
_SCALE = 4 * 3_600  # of the time between edits to the time between those of a year
GOAL = 2.0
_GOALS = ("tables_mb", "versions", "open_ms", "search_p50_ms")


class Editor:
    """Edits of Python files, one at a time, the same for a seed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._draw = random.Random(_SEED)
        self._earlier: list[tuple[Path, str]] = []
        self._count = 0
        self._at_first = len(self._files())

    def _files(self) -> list[Path]:
        return [path for path in sorted(self._root.rglob("*.py")) if path.stat().st_size]

    def edit(self) -> None:
        """Make one edit."""
        self._count += 1
        files = self._files()
        path = self._draw.choice(files)
        text = path.read_text("utf-8")
        kind = self._draw.random()
        if kind < 0.1 and len(files) > self._at_first:
            path.unlink()
        elif kind < 0.2:
            path.rename(path.with_name(f"moved_{self._count}.py"))
        elif kind < 0.3 and len(files) < 2 * self._at_first:
            (path.parent / f"added_{self._count}.py").write_text(self._function() * 3, "utf-8")
        elif kind < 0.4 and self._earlier:
            before, content = self._draw.choice(self._earlier)
            before.parent.mkdir(exist_ok=True)
            before.write_text(content, "utf-8")
        else:
            self._earlier = [*self._earlier[-50:], (path, text)]
            # The newest function in the place of the one that an earlier edit put there: files keep their size.
            kept = text.partition("\n\n# benchmark\n")[0]
            path.write_text(f"{kept}\n\n# benchmark\n{self._function()}", "utf-8")

    def _function(self) -> str:
        number = self._draw.randrange(10**9)
        return (
            f'def edited_{number}(value):\n    """Return what edit {number} is about."""\n    return value + {number}\n'
        )


def index(pipeline: Pipeline) -> None:
    """Both phases; a failure ends the benchmark."""
    for result in (pipeline.scan(), pipeline.parse(), pipeline.embed()):
        if result.error is not None:
            raise SystemExit(f"A phase failed: {result.error}")


def look(pipeline: Pipeline) -> dict[str, float]:
    """Sizes, counts and times of an index as it stands."""
    gc.collect()
    store = pipeline.store
    queries = sample_queries(store)[:: max(1, 200 // _QUERIES)]
    encoder = pipeline.query_encoder()
    for query in queries[:5]:
        search(store, encoder, query)
    search_ms = statistics.median(_milliseconds(lambda query: search(store, encoder, query), queries))
    tables = sum(store.upkeep.disk_bytes().values())
    return {
        "chunks": store.chunks.count(),
        "tables_mb": tables / 1e6,
        "tables_bytes_per_chunk": tables / store.chunks.count(),
        "versions": versions(store),
        "table_files": sum(1 for path in pipeline.folder.tables_dir.rglob("*") if path.is_file()),
        "unused_vectors": store.tables.count("retired_vectors"),
        "batches": len(pipeline.instance.get_dynamic_partitions("embedding_batch")),
        "runs": pipeline.instance.get_runs_count(),
        "records_mb": _size(pipeline.folder.dagster_home) / 1e6,
        "open_ms": statistics.median(_milliseconds(_open, [pipeline.folder.tables_dir] * _OPENS)),
        "search_p50_ms": search_ms,
    }


def _milliseconds(action: Any, arguments: list[Any]) -> Iterator[float]:
    for argument in arguments:
        started = time.perf_counter()
        action(argument)
        yield (time.perf_counter() - started) * 1e3


def _open(tables_dir: Path) -> None:
    store = IndexStore(tables_dir)
    for name in store.tables.names():
        store.tables.count(name)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(corpus: Path, edits: int, *, rapid: bool) -> dict[str, Any]:
    """Edit and look, then compare with a fresh index."""
    rest_s = maintenance.MIN_RETENTION.total_seconds() + 1
    if not rapid:
        maintenance.MIN_RETENTION = compaction.MIN_RETENTION = maintenance.MIN_RETENTION / _SCALE  # type: ignore[misc, attr-defined]
        expiry.USUAL = replace(expiry.USUAL, unused_vectors=expiry.USUAL.unused_vectors / _SCALE)  # type: ignore[misc]
    looks: dict[str, dict[str, float]] = {}
    last: list[tuple[float, int]] = []
    with copied(corpus) as root:
        editor = Editor(root)
        with Pipeline(IndexFolder(path=root.parent / "index", repository_root=root)) as pipeline:
            index(pipeline)
            looks["at first"] = look(pipeline)
            started = time.perf_counter()
            for number in range(1, edits + 1):
                if rapid and number == edits - _AFTER_REST + 1:
                    time.sleep(rest_s)
                    started += rest_s
                editor.edit()
                index(pipeline)
                if number > edits - _LAST:
                    last.append((sum(pipeline.store.upkeep.disk_bytes().values()) / 1e6, versions(pipeline.store)))
                if number % max(1, edits // _LOOKS) == 0:
                    looks[f"after {number:,} edits"] = look(pipeline)
                    print(f"{time.perf_counter() - started:6.0f} s  {number:,} edits", flush=True)
            seconds = time.perf_counter() - started
            for _ in range(_IDLE_RUNS):
                time.sleep(2 * rest_s if rapid else 0)
                index(pipeline)
            looks["at rest"] = look(pipeline)
        with Pipeline(IndexFolder(path=root.parent / "fresh", repository_root=root)) as pipeline:
            index(pipeline)
            looks["fresh"] = look(pipeline)
    fresh = looks["fresh"]
    *_, edited, rest, _ = looks.values()
    return {
        "edits": edits,
        "edit_s": seconds / edits,
        "looks": looks,
        "last": last,
        "times_fresh": {
            name: {"edited": edited[name] / fresh[name], "rest": rest[name] / fresh[name]}
            for name in fresh
            if fresh[name]
        },
        "last_times_fresh": {
            name: {"median": statistics.median(seen) / fresh[name], "largest": max(seen) / fresh[name]}
            for name, seen in zip(("tables_mb", "versions"), zip(*last, strict=True), strict=True)
        },
    }


def versions(store: IndexStore) -> int:
    """Versions of all tables that are on disk."""
    return sum(len(list((store.tables.path(name) / "_versions").iterdir())) for name in store.tables.names())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help=f"folder of a repository; by default {_DEFAULT}")
    parser.add_argument("--edits", type=int, default=2_000)
    parser.add_argument("--rapid", action="store_true", help="keep versions as long as they are kept for users")
    parser.add_argument("--model", help="by default that of a new index; `deterministic` for one without a model")
    options = parser.parse_args()
    before = machine()
    if options.model:
        os.environ["CODE_INDEX_MODEL"] = options.model
    corpus = options.path.resolve() if options.path else fetch(_DEFAULT)
    figures = measure(corpus, options.edits, rapid=options.rapid)
    looks = figures["looks"]
    times, last = figures["times_fresh"], figures["last_times_fresh"]

    def times_fresh(name: str) -> list[str]:
        of_last = f"{last[name]['median']:.2f}, {last[name]['largest']:.2f}" if name in last else ""
        return [*(f"{times[name][state]:.2f}" for state in ("edited", "rest")), of_last]

    markdown = f"{corpus.name}, {options.edits:,} edits, {figures['edit_s']:.2f} s each.\n\n" + table(
        ["", *looks, "last edit, times fresh", "at rest, times fresh", "median, largest of the last 100", "goal"],
        [
            [
                name,
                *(f"{seen[name]:,.1f}" for seen in looks.values()),
                *times_fresh(name),
                GOAL if name in _GOALS else "",
            ]
            for name in times
        ],
    )
    write("edits", seed=_SEED, machine_before=before, figures={corpus.name: figures}, markdown=markdown)


if __name__ == "__main__":
    main()
