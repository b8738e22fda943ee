"""Reads that several checks share: rows by their ids, and the partition keys that runs are to work on.

Belongs here: no claim, only what claims are made of.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from code_index.core.model import FileStatus
from indexing_assets.checks.check import Subject
from indexing_assets.runs.live_runs import keys_of_unfinished_runs

# Beyond, a condition that names them is slower than reading the column.
_FEW_FILES = 2_000
# Chunks that are looked up to be named.
_NAMED = 20


def manifest(subject: Subject, *columns: str) -> pl.DataFrame:
    """Rows of `files` that are to be indexed: file_path, file_hash, status, partition_key and `columns`."""
    wanted = list(dict.fromkeys(["file_path", "file_hash", "status", "partition_key", *columns]))
    return pl.DataFrame(subject.index.store.files.read(wanted)).filter(pl.col("status") != FileStatus.SKIPPED.value)


def few_files(subject: Subject) -> list[str] | None:
    """Paths of the run's slice where they are few enough to be named in a condition; None for all files."""
    paths = subject.file_paths
    return list(paths) if paths is not None and len(paths) <= _FEW_FILES else None


def chunk_labels(subject: Subject, chunk_ids: Sequence[str]) -> dict[str, str]:
    """Labels of chunks, `path:line name`, by id, for the first ids; an id without a chunk is its own label."""
    named = list(dict.fromkeys(chunk_ids))[:_NAMED]
    rows = subject.index.store.chunks.by_ids(named, columns=["chunk_id", "file_path", "start_line", "qualified_name"])
    found = {
        row["chunk_id"]: f"{row['file_path']}:{row['start_line']} {row['qualified_name'] or ''}".strip()
        for row in rows.to_pylist()
    }
    return {chunk_id: found.get(chunk_id, f"chunk {chunk_id}") for chunk_id in named}


def in_flux(subject: Subject, asset: str) -> set[str]:
    """Partition keys that runs are to work on: their rows and records may disagree until those end."""
    return keys_of_unfinished_runs(subject.index, asset)
