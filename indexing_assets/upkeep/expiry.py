"""Disk space and partitions that constant change would pile up: what nothing needs any more.

Belongs here: batches that edits made small, and Dagster's old records. Does not belong here: the
tables' own files (`TableUpkeep`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pyarrow as pa

from code_index.core.errors import IndexBusyError
from code_index.core.partition_keys import batch_partition_key
from code_index.index.locks import Phase, hold, owner
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.live_runs import close_dead_runs, keys_of_unfinished_runs
from indexing_assets.runs.materializations import record_outside_runs
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.phase_one_commit import add_batches
from indexing_assets.runs.planning import embedding_identity, match_batch_partitions, next_batch_id
from indexing_assets.upkeep.expired_records import Superfluous, remove_records, run_log_count, superfluous_records
from indexing_assets.upkeep.retention import USUAL, Retention

# Temporary files of writers that are gone; a living one finishes its files in seconds.
LEFTOVER_AGE = timedelta(hours=1)
# What phases let pile up before they clean by themselves.
_SMALL_BATCHES = 32
_OLD_UNUSED_VECTORS = 64
_RUNS_MORE = 100
# An edit makes a batch of a few chunks: below this part of the full size a batch is small.
_SMALL_PART = 2


@dataclass(frozen=True, slots=True)
class Garbage:
    """What `code-index cleanup` would remove, at this moment; sizes in bytes."""

    small_batches: int
    merged_batches: int
    unused_vectors: int
    leftovers: int
    leftover_bytes: int
    old_versions: int
    table_bytes: int
    live_bytes: int
    records: Superfluous


def find_garbage(index: OpenIndex, kept: Retention) -> Garbage:
    """Look, and change nothing.

    Raises:
        StoreError: a table cannot be read.
    """
    unused_since = datetime.now(UTC) - kept.unused_vectors
    store = index.store
    groups = list(_groups(_small_batches(index), index.settings.embedding_batch_chunks))
    sizes = store.upkeep.leftovers(LEFTOVER_AGE)
    return Garbage(
        small_batches=sum(map(len, groups)),
        merged_batches=len(groups),
        unused_vectors=store.vectors.count_retired(before=unused_since)
        + store.models.replaced_vectors(before=unused_since),
        leftovers=len(sizes),
        leftover_bytes=sum(sizes.values()),
        old_versions=sum(store.upkeep.old_versions(kept.versions).values()),
        table_bytes=sum(store.upkeep.disk_bytes().values()),
        live_bytes=sum(store.upkeep.live_bytes().values()),
        records=superfluous_records(index.instance, lambda: _living(index), keep_runs=kept.runs),
    )


def remove_old_records(index: OpenIndex, *, keep_runs: int) -> Superfluous:
    """Remove records that nothing refers to; returns what was removed. Safe beside other processes."""
    close_dead_runs(index.instance)
    superfluous = superfluous_records(index.instance, lambda: _living(index), keep_runs=keep_runs)
    remove_records(index.instance, superfluous)
    return superfluous


def merge_small_batches(index: OpenIndex, *, at_least: int = 2) -> int:
    """Put the chunks of batches that edits made small into full ones; returns how many batches are gone.

    Only batches whose chunks all have vectors, and that no run is to work on. The caller holds the locks
    of both phases. A kill after the commit leaves batches that are embedded and not recorded: the next
    run of phase 2 records them without a model call.
    """
    store = index.store
    busy = keys_of_unfinished_runs(index, CHUNK_VECTORS)
    small = _small_batches(index).filter(
        ~pl.col("embedding_batch_id").is_in([int(key) for key in busy if key.isdecimal()])
    )
    groups = list(_groups(small, index.settings.embedding_batch_chunks))
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
    if owner(index.folder.locks_dir, Phase.EMBED) is not None:
        kept = set(index.partition_keys(CHUNK_VECTORS))
    else:
        kept = keys_of_unfinished_runs(index, CHUNK_VECTORS)
    match_batch_partitions(index, kept=kept)


def tidy(index: OpenIndex) -> str:
    """Clean where much has piled up; what phase 2 does at its end. The caller holds phase 2's lock.

    Returns:
        what was done, for a log; empty where there was nothing to do.
    """
    store = index.store
    done = []
    if _small_batches(index).height >= _SMALL_BATCHES:
        try:
            # Never waits: a parse run may wait for this process to end.
            with hold(index.folder.locks_dir, Phase.PARSE, wait_s=0):
                merged = merge_small_batches(index, at_least=_SMALL_BATCHES)
            if merged:
                done.append(f"merged {merged} small batches")
        except IndexBusyError:
            pass  # the next run does it
    unused_since = datetime.now(UTC) - USUAL.unused_vectors
    if store.vectors.count_retired(before=unused_since) >= _OLD_UNUSED_VECTORS:
        done.append(f"forgot {store.vectors.forget_retired(before=unused_since)} vectors that nothing used for 30 days")
    # Logs and not runs: of a run to which a partition refers a record stays.
    if run_log_count(index.instance) > USUAL.runs + _RUNS_MORE:
        removed = remove_old_records(index, keep_runs=USUAL.runs)
        done.append(f"removed {len(removed.events)} old events and {len(removed.runs)} old runs of Dagster's records")
    return ", ".join(done)


_MOVED = pa.schema([pa.field("chunk_id", pa.string(), nullable=False), pa.field("embedding_batch_id", pa.int64())])


def _living(index: OpenIndex) -> dict[dg.AssetKey, list[str]]:
    return {index.names.asset_key(asset): index.partition_keys(asset) for asset in (PARSED_CHUNKS, CHUNK_VECTORS)}


def _small_batches(index: OpenIndex) -> pl.DataFrame:
    """Batches (embedding_batch_id, chunks) under half their size whose chunks all have vectors, by id."""
    store = index.store
    size = index.settings.embedding_batch_chunks // _SMALL_PART
    chunks = pl.DataFrame(store.chunks.read(["chunk_id", "embedding_batch_id"])).drop_nulls("embedding_batch_id")
    small = chunks.filter(pl.len().over("embedding_batch_id") < size)
    if small.is_empty():
        return small.group_by("embedding_batch_id").agg(chunks=pl.len())
    # Compared once for all of them: within the groups the ids of all vectors would be hashed for each batch.
    embedded = pl.Series(store.vectors.read(["chunk_id"]).column("chunk_id")).implode()
    return (
        small.with_columns(embedded=pl.col("chunk_id").is_in(embedded))
        .group_by("embedding_batch_id")
        .agg(chunks=pl.len(), complete=pl.col("embedded").all())
        .filter("complete")
        .sort("embedding_batch_id")
    )


def _groups(small: pl.DataFrame, size: int) -> Iterator[Sequence[int]]:
    """Neighbouring batches that fit into one; at least two each."""
    group: list[int] = []
    total = 0
    for batch_id, chunks in small.select("embedding_batch_id", "chunks").iter_rows():
        if total + chunks > size and group:
            if len(group) > 1:
                yield group
            group, total = [], 0
        group.append(batch_id)
        total += chunks
    if len(group) > 1:
        yield group
