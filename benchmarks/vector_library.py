"""A library of vectors: what asking and giving cost at size, what it adds to a first index, what a second clone takes.

    python -m benchmarks.vector_library                        # 1,000,000 vectors; Django 5.2
    python -m benchmarks.vector_library --vectors 100000 --corpus flask==3.1.1

Questions are half about texts that are there and half about others, drawn at random. A first index is one with an empty
library; its share is the time in the library over that in the model. Goals: 10,000 hashes asked in under 2 s, 10,000 given in
under 5 s, at most 3 % of the embedding time where nothing is known, a second clone in a quarter of the first one's time without a
model call.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import report
from benchmarks.pipeline import MemoryPeak, copied, fetch
from code_index.core.unit_vectors import normalized
from code_index.index.folder import IndexFolder
from code_index.sharing import libraries
from code_index.sharing.libraries import Libraries
from code_index.sharing.vector_library import VectorLibrary
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_status import last_embedding

_SEED = 0
_DIMENSION = 384
_AT_ONCE = 10_000
_ROUNDS = 5
_MIB = 1 << 20


def _hashes(rng: np.random.Generator, count: int) -> list[str]:
    return [rng.bytes(16).hex() for _ in range(count)]


def _vectors(rng: np.random.Generator, hashes: list[str]) -> dict[str, np.ndarray]:
    matrix = normalized(rng.standard_normal((len(hashes), _DIMENSION), dtype=np.float32))
    return dict(zip(hashes, matrix, strict=True))


def at_size(vectors: int, place: Path) -> dict[str, Any]:
    """Seconds of questions and gifts of 10,000 texts, and the memory of this process."""
    rng = np.random.default_rng(_SEED)
    library = VectorLibrary(place, "benchmark")
    known: list[str] = []
    give_s = []
    for _ in range(vectors // _AT_ONCE):
        hashes = _hashes(rng, _AT_ONCE)
        rows = _vectors(rng, hashes)
        started = time.perf_counter()
        library.give(rows, dict.fromkeys(hashes, 100), now=datetime.now(UTC))
        give_s.append(time.perf_counter() - started)
        known += hashes[:: max(1, vectors // _AT_ONCE)]
    before = psutil.Process().memory_info().rss
    ask_s = []
    with MemoryPeak() as peak:
        for _ in range(_ROUNDS):
            there = [known[at] for at in rng.choice(len(known), min(_AT_ONCE // 2, len(known)), replace=False)]
            wanted = dict.fromkeys(there + _hashes(rng, _AT_ONCE - len(there)), 100)
            started = time.perf_counter()
            found = library.ask(wanted, dimension=_DIMENSION)
            ask_s.append(time.perf_counter() - started)
            if found.keys() != set(there):
                raise SystemExit("the library did not give what it holds")
    return {
        "vectors": library.count(),
        "ask_s": ask_s,
        "give_s": give_s,
        "rss_mib": before / _MIB,
        "peak_mib": peak.main_bytes / _MIB,
        "disk_mib": sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / _MIB,
    }


@contextmanager
def _timed(spent: dict[str, float]) -> Iterator[None]:
    """Add up the seconds that a run spends in its libraries."""
    originals: dict[str, Callable[..., Any]] = {
        name: getattr(Libraries, name) for name in ("ask", "give", "compact_and_expire")
    }

    def timed(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return originals[name](*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - started

        return call

    for name in originals:
        setattr(Libraries, name, timed(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Libraries, name, original)


def indexed(corpus: Path) -> dict[str, Any]:
    """Index a copy of a corpus: seconds of all, and of it in the model and in the libraries."""
    with copied(corpus) as root, Pipeline(IndexFolder(path=root.parent / "index", repository_root=root)) as pipeline:
        _ = pipeline.describe_embedder()  # loads the model
        spent: dict[str, float] = {}
        started = time.perf_counter()
        with _timed(spent):
            for phase in (pipeline.scan, pipeline.parse, pipeline.embed):
                if (error := phase().error) is not None:
                    raise SystemExit(f"The phase failed: {error}")
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "libraries_s": spent, **asdict(last_embedding(pipeline.index))}


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--corpus", default="Django==5.2", help="a pinned source distribution, or a folder")
    options = parser.parse_args()
    before = report.machine()
    folder = Path(tempfile.mkdtemp(prefix="code-index-library-"))
    try:
        size = at_size(options.vectors, folder / "size")
        corpus = Path(options.corpus) if Path(options.corpus).is_dir() else fetch(options.corpus)
        _with_library(folder / "cache")
        first, second = indexed(corpus), indexed(corpus)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    share = sum(first["libraries_s"].values()) / (first["seconds"] - sum(first["libraries_s"].values()))
    report.write(
        "vector_library",
        seed=_SEED,
        machine_before=before,
        figures={"size": size, "first": first, "second": second, "share": share},
        markdown="\n".join(
            [
                "| | |",
                "|---|---|",
                f"| vectors | {size['vectors']:,}, {size['disk_mib']:,.0f} MiB |",
                f"| 10,000 asked, median and longest | {statistics.median(size['ask_s']):.2f}, {max(size['ask_s']):.2f} s |",
                f"| 10,000 given, median and longest | {statistics.median(size['give_s']):.2f}, {max(size['give_s']):.2f} s |",
                f"| memory before and while asking | {size['rss_mib']:,.0f}, {size['peak_mib']:,.0f} MiB |",
                (
                    f"| first index | {first['seconds']:.1f} s, {first['embedded']:,} embedded; in the library "
                    f"{sum(first['libraries_s'].values()):.2f} s, {share:.1%} of the rest |"
                ),
                (
                    f"| second clone | {second['seconds']:.1f} s ({second['seconds'] / first['seconds']:.2f} of the first), "
                    f"{second['embedded']:,} embedded |"
                ),
            ]
        ),
    )


def _with_library(cache: Path) -> None:
    """Give this process a library of its own; prepared models stay where they are."""
    del os.environ["CODE_INDEX_LIBRARY_BYTES"]
    libraries.own_place = lambda: cache


if __name__ == "__main__":
    main()
