"""Reads that several checks share: rows by their ids, and the partition keys that runs are to work on.

Belongs here: no claim, only what claims are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from code_index.core.model import FileStatus
from code_index.tables.own_commits import OF_THIS_PROCESS
from code_index.tables.sql import all_of, is_in
from indexing_assets.checks.check import Subject
from indexing_assets.runs.live_runs import keys_of_unfinished_runs

# Beyond, a condition that names them is slower than reading the column.
_FEW_FILES = 2_000
# Chunks that are looked up to be named.
_NAMED = 20


def manifest(subject: Subject, *columns: str, file_paths: Sequence[str] | None = None) -> pl.DataFrame:
    """Rows of `files` that are to be indexed, of these paths or all: file_path, file_hash, status, partition_key, `columns`."""
    wanted = list(dict.fromkeys(["file_path", "file_hash", "status", "partition_key", *columns]))
    indexed = f"status <> '{FileStatus.SKIPPED.value}'"
    return pl.DataFrame(subject.index.store.files.read(wanted, all_of(indexed, in_files(file_paths))))


def in_files(file_paths: Sequence[str] | None) -> str | None:
    """Condition of the rows of these files; None for all rows."""
    return None if file_paths is None else is_in("file_path", file_paths)


def changed_files(subject: Subject, claim: str, *tables: str) -> tuple[list[str] | None, Callable[[], None]]:
    """Files whose rows a check has to look at, None for all of them; and what it calls when the claim holds of these.

    A run looks at what changed since the claim held of all rows in this process, as far as nobody else committed.
    """
    versions = subject.index.store.tables.versions(*tables)
    fact = (claim, *versions)
    changed = OF_THIS_PROCESS.changed(fact, versions) if subject.since_last_look else None
    return None if changed is None else sorted(changed), lambda: OF_THIS_PROCESS.note(fact, versions)


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
