"""Figures and lists of what an index holds and lacks.

Belongs here: counting what the tables and the index folder say, once for the command line, checks, the report and
Python. Does not belong here: what Dagster's records say, such as rates (`indexing_assets.runs.index_status`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.compute as pc

from code_index.chunking.plain_languages import reads_syntax
from code_index.core.model import EmbeddingStatus, FileStatus
from code_index.index.folder import IndexFolder
from code_index.index.locks import LockOwner, holders
from code_index.index.skipped import skipped_counts, why_nothing_is_indexed
from code_index.index.vector_sources import vector_sources
from code_index.tables import IndexStore


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be parsed."""

    file_path: str
    reason: str
    transient: bool
    run_id: str | None


@dataclass(frozen=True, slots=True)
class FailedChunk:
    """A chunk that could not be embedded; lines are 1-based and inclusive."""

    file_path: str
    start_line: int
    end_line: int
    qualified_name: str
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Figures of an index; sizes are in bytes.

    `files` counts by status (pending, parsed, error, skipped), `languages` the files that are not skipped, `chunks`
    by embedding status (pending, in_progress, complete, error) with `model`, which the settings name. Search reads
    the vectors of `serving_model`. `holders` are the processes that write at the moment, by phase. `without_syntax`
    counts, by language, the files that are cut as plain text because nothing here reads their syntax, `without_references`
    the files that an earlier version parsed, whose names `symbol` and `references` do not know,
    `guessed_encodings`, by encoding, those that do not say in which they are, and `skipped`, by reason, what is left out.
    `vector_sources` counts the vectors that were added for `model` so far by where they came from: the model itself, this
    index (an older version of the code, or the same text in another place), a library.

    Example:
        >>> from code_index import Index
        >>> status = Index.open("repository").status()
        >>> status.files["parsed"], status.languages["python"], status.failed
        (4, 1, False)
        >>> status.chunks["complete"] == sum(status.chunks.values()) == status.vectors_by_model[status.serving_model]
        True
    """

    repository_root: str
    index_dir: str
    files: Mapping[str, int]
    languages: Mapping[str, int]
    chunks: Mapping[str, int]
    batches: int
    pending_batches: int
    model: str
    serving_model: str
    stale_batches: int
    vectors_by_model: Mapping[str, int]
    disk_bytes: Mapping[str, int]
    holders: Mapping[str, LockOwner] = field(default_factory=dict)
    without_syntax: Mapping[str, int] = field(default_factory=dict)
    guessed_encodings: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    without_references: int = 0
    vector_sources: Mapping[str, int] = field(default_factory=dict)
    next_step: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether a file or a chunk failed."""
        return bool(self.files[FileStatus.ERROR.value] or self.chunks[EmbeddingStatus.ERROR.value])


def index_status(
    folder: IndexFolder, store: IndexStore, model_id: str, *, running_batches: Collection[int] = ()
) -> IndexStatus:
    """Gather the figures.

    Args:
        folder: of the index.
        store: its tables.
        model_id: the model that the settings name.
        running_batches: batches that a run embeds at the moment; their chunks are in progress rather than pending.

    Raises:
        StoreError: a table cannot be read.
    """
    batches = store.statuses.batches(model_id)
    indexed = store.files.read(["language"], where=f"status <> '{FileStatus.SKIPPED.value}'").column("language")
    languages = dict(sorted(Counter(indexed.drop_null().to_pylist()).items(), key=lambda item: (-item[1], item[0])))
    serving = store.models.serving()
    status = IndexStatus(
        repository_root=folder.repository,
        index_dir=str(folder.path),
        files={status.value: 0 for status in FileStatus} | store.files.counts(),
        languages=languages,
        chunks=store.statuses.count(model_id, running_batches),
        batches=batches.num_rows,
        pending_batches=pc.sum(pc.greater(batches["pending"], 0)).as_py() or 0,
        model=model_id,
        serving_model=model_id if serving is None else serving[0],
        stale_batches=store.models.stale_batches(model_id),
        vectors_by_model=store.models.vector_counts(),
        disk_bytes={**store.upkeep.disk_bytes(), "dagster": folder_bytes(folder.dagster_home)},
        without_syntax={name: count for name, count in languages.items() if not reads_syntax(name)},
        guessed_encodings=store.files.guessed_encodings(),
        skipped=skipped_counts(store),
        without_references=store.files.without_references(),
        vector_sources=vector_sources(folder, model_id),
        holders=holders(folder),
    )
    return replace(status, next_step=_next_step(status))


def failed_files(store: IndexStore) -> list[FailedFile]:
    """Files that could not be parsed, by path."""
    rows = store.files.read(
        columns=["file_path", "reason", "transient", "run_id"], where=f"status = '{FileStatus.ERROR.value}'"
    ).to_pylist()
    return sorted(
        (FailedFile(r["file_path"], r["reason"] or "", bool(r["transient"]), r["run_id"]) for r in rows),
        key=lambda item: item.file_path,
    )


def failed_chunks(store: IndexStore, model_id: str) -> list[FailedChunk]:
    """Chunks that could not be embedded with the model, by place."""
    errors = {row["chunk_id"]: row for row in store.errors.read(model_id).to_pylist()}
    chunks = store.chunks.by_ids(
        list(errors), columns=["chunk_id", "file_path", "start_line", "end_line", "qualified_name"]
    ).to_pylist()
    return sorted(
        (
            FailedChunk(
                row["file_path"],
                row["start_line"],
                row["end_line"],
                row["qualified_name"],
                errors[row["chunk_id"]]["error_message"],
                errors[row["chunk_id"]]["attempts"],
            )
            for row in chunks
        ),
        key=lambda item: (item.file_path, item.start_line),
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _next_step(status: IndexStatus) -> str:
    root = status.repository_root
    unfinished = status.chunks[EmbeddingStatus.PENDING.value] + status.chunks[EmbeddingStatus.IN_PROGRESS.value]
    if status.holders:
        return "An index run is under way; search already works on what is stored."
    if sum(status.files.values()) == (left_out := status.files[FileStatus.SKIPPED.value]):
        return (
            why_nothing_is_indexed(status.skipped) if left_out else f"Nothing is indexed yet: code-index index {root}"
        )
    if status.serving_model != status.model:
        return (
            f"Search reads vectors of {status.serving_model} until all are made with {status.model}: "
            f"code-index index {root}"
        )
    if status.files[FileStatus.PENDING.value] or unfinished or status.without_references:
        names = f" (also the names in {status.without_references:,} files)" if status.without_references else ""
        return f"Go on with what is missing{names}: code-index resume {root}"
    if status.failed:
        return "See what failed: code-index status --failed. Try it again: code-index resume --failed"
    return 'All is indexed. Search: code-index search "..."'
