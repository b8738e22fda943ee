"""Compaction of batches: edits leave small ones, which are merged, and empty ones, whose keys go.

Belongs here: batches and their partition keys. Does not belong here: the tables' own files
(`indexing_assets.upkeep.compaction`).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from code_index.core.partition_keys import batch_partition_key
from code_index.index.locks import Phase, owner
from indexing_assets.runs.index_names import CHUNK_VECTORS
from indexing_assets.runs.live_runs import keys_of_unfinished_runs
from indexing_assets.runs.materializations import record_outside_runs
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.phase_one_commit import add_batches
from indexing_assets.runs.planning import embedding_identity, match_batch_partitions, next_batch_id

_MOVED = pa.schema([pa.field("chunk_id", pa.string(), nullable=False), pa.field("embedding_batch_id", pa.int64())])
# An edit makes a batch of a few chunks: a batch is small below the full size divided by this.
_SMALL_DIVISOR = 2


def merge_small_batches(index: OpenIndex, *, at_least: int = 2) -> int:
    """Put the chunks of batches that edits made small into full ones; returns how many batches are gone.

    Only batches whose chunks all have vectors, and that no run is to work on. The caller holds the locks
    of both phases. A kill after the commit leaves batches that are embedded and not recorded: the next
    run of phase 2 records them without a model call.
    """
    store = index.store
    busy = keys_of_unfinished_runs(index, CHUNK_VECTORS)
    small = small_batches(index).filter(
        ~pl.col("embedding_batch_id").is_in([int(key) for key in busy if key.isdecimal()])
    )
    groups = batches_to_merge(index, small)
    if not groups or sum(map(len, groups)) < at_least:
        return 0
    first = next_batch_id(index)
    new_ids = {old: first + place for place, group in enumerate(groups) for old in group}
    chunks = pl.DataFrame(store.chunks.of_batches(list(new_ids), columns=["chunk_id", "embedding_batch_id"]))
    merged = chunks.with_columns(pl.col("embedding_batch_id").replace_strict(new_ids, return_dtype=pl.Int64))
    # The keys first: a chunk whose batch has no partition would show as lost.
    add_batches(index, range(first, first + len(groups)))
    store.chunks.move_to_batches(merged.to_arrow().cast(_MOVED))
    match_batch_partitions(index, kept=busy)
    counts = dict(merged.group_by("embedding_batch_id").len().iter_rows())
    record_outside_runs(
        index.instance,
        index.names.asset_key(CHUNK_VECTORS),
        {
            batch_partition_key(batch_id): {
                "chunks": counts[batch_id],
                "dagster/partition_row_count": counts[batch_id],
                "merged_batches": len(group),
            }
            for batch_id, group in enumerate(groups, first)
        },
        code_version=embedding_identity(index.settings),
    )
    return len(new_ids)


def match_batches(index: OpenIndex) -> None:
    """Make the partition keys of batches those of the chunks, as far as no run is to work on them.

    For the holder of phase 1's lock, after it removed chunks: phase 2 may be under way, and drops the empty
    batches of its own run at its end.
    """
    if owner(index.folder.locks, Phase.EMBED) is not None:
        kept = set(index.partition_keys(CHUNK_VECTORS))
    else:
        kept = keys_of_unfinished_runs(index, CHUNK_VECTORS)
    match_batch_partitions(index, kept=kept)


def small_batches(index: OpenIndex) -> pl.DataFrame:
    """Batches (embedding_batch_id, chunks) under half their size whose chunks all have vectors, by id."""
    store = index.store
    size = index.settings.embedding_batch_chunks // _SMALL_DIVISOR
    small = pl.DataFrame(store.statuses.batches()).filter(pl.col("chunks") < size)
    if small.is_empty():
        return small
    chunks = store.chunks.of_batches(small["embedding_batch_id"].to_list(), ["chunk_id", "embedding_batch_id"])
    # Compared once for all of them: within the groups the ids of all vectors would be hashed for each batch.
    embedded = pl.Series(store.vectors.ids(chunks["chunk_id"])).implode()
    return (
        pl.DataFrame(chunks)
        .with_columns(embedded=pl.col("chunk_id").is_in(embedded))
        .group_by("embedding_batch_id")
        .agg(chunks=pl.len(), complete=pl.col("embedded").all())
        .filter("complete")
        .sort("embedding_batch_id")
    )


def batches_to_merge(index: OpenIndex, small: pl.DataFrame) -> list[list[int]]:
    """Neighbouring batches that fit into one, as groups of at least two."""
    size = index.settings.embedding_batch_chunks
    groups = []
    group: list[int] = []
    total = 0
    for batch_id, chunks in small.select("embedding_batch_id", "chunks").iter_rows():
        if total + chunks > size and group:
            if len(group) > 1:
                groups.append(group)
            group, total = [], 0
        group.append(batch_id)
        total += chunks
    if len(group) > 1:
        groups.append(group)
    return groups
