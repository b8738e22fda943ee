"""The state of an index in figures: what `code-index status` and checks show.

Counts come from the tables; run figures from Dagster's records.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from code_index.core.model import EmbeddingStatus, FileStatus
from code_index.core.partition_keys import batch_id_of
from code_index.index.locks import LockOwner, Phase, owner
from code_index.tables import IndexStore
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import keys_of_run

# Events looked at for rates.
_RECENT_EVENTS = 1_000


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
    """Figures of an index; sizes in bytes, rates per second."""

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
    throughput: Mapping[str, float]
    holders: Mapping[str, LockOwner] = field(default_factory=dict)
    next_step: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether a file or a chunk failed."""
        return bool(self.files[FileStatus.ERROR.value] or self.chunks[EmbeddingStatus.ERROR.value])


def read_status(index: OpenIndex, model_id: str) -> IndexStatus:
    """Gather the figures.

    Raises:
        StoreError: a table cannot be read.
    """
    folder, store = index.folder, index.store
    file_counts = {status.value: 0 for status in FileStatus} | store.files.counts()
    holders = {phase.value: who for phase in Phase if (who := owner(folder.locks_dir, phase)) is not None}
    chunk_counts = store.statuses.count(model_id, _running_batches(index, holders.get(Phase.EMBED.value)))
    batches = pl.DataFrame(store.statuses.batches(model_id))
    languages = (
        pl.DataFrame(store.files.read(columns=["language", "status"]))
        .filter(pl.col("status") != FileStatus.SKIPPED.value)
        .group_by("language")
        .len()
        .sort("len", "language", descending=[True, False])
    )
    serving = store.models.serving()
    serving_model = model_id if serving is None else serving[0]
    stale = store.models.stale_batches(model_id)
    unfinished = sum(chunk_counts[status.value] for status in (EmbeddingStatus.PENDING, EmbeddingStatus.IN_PROGRESS))
    status = IndexStatus(
        repository_root=str(folder.repository_root),
        index_dir=str(folder.path),
        files=file_counts,
        languages=dict(languages.iter_rows()),
        chunks=chunk_counts,
        batches=batches.height,
        pending_batches=batches.filter(pl.col("pending") > 0).height,
        model=model_id,
        serving_model=serving_model,
        stale_batches=stale,
        vectors_by_model=store.models.vector_counts(),
        disk_bytes={**store.upkeep.disk_bytes(), "dagster": folder_bytes(folder.dagster_home)},
        throughput=_throughput(index),
        holders=holders,
    )
    return replace(status, next_step=_next_step(status, unfinished))


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


def _running_batches(index: OpenIndex, holder: LockOwner | None) -> list[int]:
    """Numbers of the batches that a living run works on: those of the run that holds the lock."""
    run = index.instance.get_run_by_id(holder.run_id) if holder is not None and holder.run_id else None
    if run is None:
        return []
    return [batch_id_of(key) for key in keys_of_run(run.tags, index.partition_keys(CHUNK_VECTORS))]


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


def runs_of(index: OpenIndex, asset: str) -> list[dict[str, float | str]]:
    """Figures of the runs among an asset's newest events, oldest first: metadata, run_id, and `at` (seconds since 1970).

    A run writes its figures into one event of each commit; of these the newest counts.
    """
    records = index.instance.fetch_materializations(index.names.asset_key(asset), limit=_RECENT_EVENTS).records
    found: dict[str, dict[str, float | str]] = {}
    for record in records:
        event = record.asset_materialization
        if event is not None and "run_chunks" in event.metadata and record.run_id not in found:
            values = {key: value.value for key, value in event.metadata.items()}
            found[record.run_id] = {
                **{key: value for key, value in values.items() if isinstance(value, int | float | str)},
                "run_id": record.run_id,
                "at": record.timestamp,
            }
    return list(reversed(found.values()))


def _throughput(index: OpenIndex) -> dict[str, float]:
    """Rates of each phase, from the largest run among its newest events: a run of one file says nothing."""
    figures: dict[str, float] = {}
    for name, rates in {PARSED_CHUNKS: ("files_per_s", "chunks_per_s"), CHUNK_VECTORS: ("chunks_per_s",)}.items():
        runs = runs_of(index, name)
        if runs:
            largest = max(runs, key=lambda run: float(run["run_chunks"]))
            figures |= {f"{name}.{rate}": float(largest[rate]) for rate in rates if rate in largest}
    return figures


def _next_step(status: IndexStatus, unfinished: int) -> str:
    root = status.repository_root
    if status.holders:
        return "An index run is under way; search already works on what is stored."
    if not sum(status.files.values()):
        return f"Nothing is indexed yet: code-index index {root}"
    if status.serving_model != status.model:
        return (
            f"Search reads vectors of {status.serving_model} until all are made with {status.model}: "
            f"code-index index {root}"
        )
    if status.files[FileStatus.PENDING.value] or unfinished:
        return f"Go on with what is missing: code-index resume {root}"
    if status.failed:
        return "See what failed: code-index status --failed. Try it again: code-index resume --failed"
    return 'All is indexed. Search: code-index search "..."'
