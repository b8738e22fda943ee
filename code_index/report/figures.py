"""Figures of an index for its report: distributions, extremes, and the time of a search.

Belongs here: reading the tables once and counting. Does not belong here: Dagster's records, which
the caller passes, and the look of figures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from code_index.search.hybrid import QueryEncoder, search
from code_index.tables import IndexStore

_EXTREMES: Final = 20
_QUERIES: Final = 12
_COLUMNS: Final = (
    "chunk_id",
    "file_path",
    "start_line",
    "end_line",
    "language",
    "chunk_type",
    "qualified_name",
    "cyclomatic_complexity",
    "cognitive_complexity",
    "function_name",
)

_CYCLOMATIC: Final = pl.col("cyclomatic_complexity")
_IS_FUNCTION: Final = pl.col("function_name").is_not_null() & _CYCLOMATIC.is_not_null()

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """Figures that the report shows; lines and complexities are (n,) int64, sizes bytes, latencies milliseconds."""

    languages: Sequence[Row]
    chunk_types: Sequence[Row]
    chunk_lines: npt.NDArray[np.int64]
    cyclomatic: npt.NDArray[np.int64]
    most_complex: Sequence[Row]
    chunks: int
    table_bytes: Mapping[str, int]
    search_ms: Sequence[float] = ()
    parse_runs: Sequence[Row] = ()
    embed_runs: Sequence[Row] = ()
    slowest_files: Sequence[Row] = ()
    failed_files: Sequence[Row] = ()
    failed_chunks: Sequence[Row] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def search_p50_ms(self) -> float | None:
        """Return the median latency of a hybrid search; None where nothing can be searched."""
        return float(np.median(self.search_ms)) if self.search_ms else None


def gather(store: IndexStore, encoder: QueryEncoder | None) -> IndexFigures:
    """Gather the figures; `encoder` embeds the queries that are timed, None times none.

    Raises:
        StoreError: a table cannot be read.
    """
    chunks = pl.DataFrame(store.chunks.read(list(_COLUMNS)))
    types = chunks.group_by("chunk_type").agg(pl.len().alias("chunks")).sort(["chunks", "chunk_type"], descending=True)
    functions = chunks.filter(_IS_FUNCTION)
    complex_first = ["cyclomatic_complexity", "cognitive_complexity"]
    most_complex = functions.sort([*complex_first, "file_path"], descending=[True, True, False]).head(_EXTREMES)
    vectors = sum(store.vectors.counts().values())
    return IndexFigures(
        languages=_languages(store, chunks).to_dicts(),
        chunk_types=types.to_dicts(),
        chunk_lines=(chunks["end_line"] - chunks["start_line"] + 1).to_numpy().astype(np.int64),
        cyclomatic=functions["cyclomatic_complexity"].to_numpy().astype(np.int64),
        most_complex=[
            {
                "function": row["qualified_name"],
                "place": f"{row['file_path']}:{row['start_line']}",
                "cyclomatic": row["cyclomatic_complexity"],
                "cognitive": row["cognitive_complexity"],
            }
            for row in most_complex.to_dicts()
        ],
        chunks=chunks.height,
        table_bytes=store.upkeep.disk_bytes(),
        search_ms=_latencies(store, chunks, encoder) if vectors and encoder is not None else (),
    )


def language_figures(store: IndexStore) -> pl.DataFrame:
    """A row for each language, the one with the most chunks first.

    Columns: `language`; `files` (without skipped ones), `chunks`, `vectors`, `lines` (up to the last that is not
    blank) and `bytes`, int64; `mean_complexity`, McCabe's measure over its functions, float64, null without any.

    Raises:
        StoreError: a table cannot be read.
    """
    columns = ["file_path", "end_line", "language", "cyclomatic_complexity", "function_name"]
    return _languages(store, pl.DataFrame(store.chunks.read(columns)))


def _languages(store: IndexStore, chunks: pl.DataFrame) -> pl.DataFrame:
    files = pl.DataFrame(store.files.read(columns=["language", "size_bytes", "status"]))
    vectors = pl.DataFrame(store.vectors.read(columns=["language"]))
    of_files = files.filter(pl.col("status") != "skipped").select("language", files=1, bytes="size_bytes")
    of_chunks = chunks.group_by("language", "file_path").agg(chunks=pl.len(), lines=pl.col("end_line").max())
    complexity = chunks.filter(_IS_FUNCTION).group_by("language").agg(mean_complexity=_CYCLOMATIC.mean())
    counts = ("files", "chunks", "vectors", "lines", "bytes")
    return (
        pl.concat([of_files, of_chunks, vectors.select("language", vectors=1)], how="diagonal_relaxed")
        .group_by("language")
        .agg(pl.col(*counts).cast(pl.Int64).sum())
        .join(complexity, on="language", how="left")
        .sort(["chunks", "files", "language"], descending=[True, True, False])
    )


def _latencies(store: IndexStore, chunks: pl.DataFrame, encoder: QueryEncoder) -> list[float]:
    """Time hybrid searches for names in the index, spread over its files, after a warm-up."""
    names = (
        chunks.filter(pl.col("qualified_name").fill_null("") != "")
        .sort("chunk_id")["qualified_name"]
        .unique(maintain_order=True)
    )
    if names.is_empty():
        return []
    step = max(1, len(names) // _QUERIES)
    queries = [str(name).replace("_", " ") for name in names.gather_every(step).head(_QUERIES)]
    search(store, encoder, queries[0])
    found = []
    for query in queries:
        started = time.perf_counter()
        search(store, encoder, query)
        found.append((time.perf_counter() - started) * 1e3)
    return found
