"""The new tables, built beside the index and compared with the old one before anything is put in place.

Belongs here: rows of `chunks` and `vectors`, their batches, and the comparison. Does not belong here: reading the old
table (`indexing_assets.operations.migration.carrier`) and the switch (`indexing_assets.operations.migration.steps`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.batching import BatchAllocator
from code_index.core.embedding_text import EmbeddingInput, TextRecipe
from code_index.core.errors import MigrationError
from code_index.core.identifiers import full_text
from code_index.tables import IndexStore
from code_index.tables.schemas import CHUNKS, FILES
from code_index.tables.sql import is_in
from code_index.tables.table_names import CHUNKS_TABLE, VECTORS_TABLE
from code_index.tables.vectors import vector_rows
from indexing_assets.operations.migration.carrier import CarriedFiles, Carrier, MigrationReport
from indexing_assets.operations.migration.old_index.table import matrix_of
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.planning import next_batch_id

_SAMPLE = 1_000
_COMPARED_AT_ONCE = 8_192


def stage(carrier: Carrier, folder: Path) -> None:
    """Build tables in `folder` from all that the carrier brings, and compare them with the old table.

    Raises:
        MigrationError: no row can be carried over, or something differs.
    """
    plan = carrier.plan
    store = IndexStore(folder)
    with Pipeline(plan.folder) as pipeline:
        first_id = next_batch_id(replace(pipeline.index, store=store))
    allocator = BatchAllocator(first_id=first_id, batch_chunks=plan.settings.embedding_batch_chunks)
    embedded_at = _moment(plan.old.indexed_at) or carrier.now
    every = max(1, carrier.survey.row_ids.size // _SAMPLE)
    seen = 0
    sample: dict[int, str] = {}
    files: list[dict[str, Any]] = []
    for carried in carrier.carry():
        files += carried.files
        if not carried.chunks:
            continue
        chunks = _chunk_rows(carried.chunks, allocator.take(len(carried.chunks)), carrier.now)
        store.tables.append(CHUNKS_TABLE, CHUNKS, chunks, keys=("chunk_id",))
        rows = _vector_rows(carried, plan.model.model_id, embedded_at)
        store.tables.append(VECTORS_TABLE, rows.schema, rows, keys=("chunk_id",))
        for at in np.flatnonzero(carried.usable).tolist():
            seen += 1
            if seen % every == 0:
                sample[int(carried.old_rows[at])] = carried.chunks[at]["chunk_id"]
    store.models.begin(plan.model.model_id, plan.settings.embedder.identity())
    store.files.upsert(pa.Table.from_pylist(files, schema=FILES))
    store.upkeep.ensure_indexes()
    _compare_counts(carrier.report, store)
    _compare_vectors(carrier, store, sample)


def _chunk_rows(chunks: Sequence[Mapping[str, Any]], batches: Sequence[int], now: datetime) -> pa.Table:
    columns: dict[str, Any] = {
        item.name: [chunk[item.name] for chunk in chunks] for item in CHUNKS if item.name in chunks[0]
    }
    columns["search_text"] = [
        full_text(
            file_path=chunk["file_path"], qualified_name=chunk["qualified_name"], content=chunk["content"]
        ).lower()
        for chunk in chunks
    ]
    columns["embedding_batch_id"] = batches
    columns["created_at"] = columns["updated_at"] = [now] * len(chunks)
    return pa.table(columns, schema=CHUNKS)


def _vector_rows(carried: CarriedFiles, model_id: str, embedded_at: datetime) -> pa.Table:
    kept = [chunk for chunk, usable in zip(carried.chunks, carried.usable, strict=True) if usable]
    hashes = [EmbeddingInput.of_row(chunk, TextRecipe.SOURCE).text_hash for chunk in kept]
    return vector_rows(
        kept, carried.vectors[carried.usable], text_hashes=hashes, model=model_id, embedded_at=embedded_at
    )


def _compare_counts(report: MigrationReport, store: IndexStore) -> None:
    for name, expected in ((CHUNKS_TABLE, report.chunks), (VECTORS_TABLE, report.vectors)):
        if (stored := store.tables.count(name)) != expected:
            raise MigrationError(f"{stored} rows are staged in {name}, {expected} were carried over.")
    if not report.accounted:
        raise MigrationError(f"Not every one of the {report.rows} rows is accounted for: {report}.")


def _compare_vectors(carrier: Carrier, store: IndexStore, sample: Mapping[int, str]) -> None:
    """Compare the vectors of a sample, chunk ids by old row, bit by bit."""
    sampled = list(sample)
    for start in range(0, len(sampled), _COMPARED_AT_ONCE):
        old_rows, before = carrier.vectors_of(sampled[start : start + _COMPARED_AT_ONCE])
        ids = [sample[row] for row in old_rows]
        stored = store.chunks.by_ids(ids, ["chunk_id"]).num_rows
        if stored != len(ids) or before.tobytes() != _stored_vectors(store, ids, carrier.dimension).tobytes():
            raise MigrationError(
                f"A sample of {len(ids)} vectors does not equal the old ones bit by bit; nothing was switched over. "
                "Please report this; the old index is as it was."
            )
    carrier.report.verified_vectors = len(sampled)


def _stored_vectors(store: IndexStore, chunk_ids: Sequence[str], dimension: int) -> npt.NDArray[np.float32]:
    rows = store.vectors.read(["chunk_id", "vector"], is_in("chunk_id", chunk_ids))
    positions = pc.index_in(pa.array(chunk_ids, pa.string()), rows.column("chunk_id").combine_chunks())
    if positions.null_count:
        return np.zeros((0, dimension), np.float32)
    matrix, _ = matrix_of(rows.take(positions), dimension)
    return matrix


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
