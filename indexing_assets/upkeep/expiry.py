"""Expiry: finding and removing what constant change piles up and nothing needs any more.

Belongs here: what is removed, and when. Does not belong here: which of Dagster's records may go
(`indexing_assets.upkeep.expired_records`), and the tables' own files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from code_index.core.errors import IndexBusyError
from code_index.core.lazy_imports import importing
from code_index.index.locks import Phase, hold
from code_index.sharing.libraries import ExpiredVectors, find_expired_of_user
from indexing_assets.runs.index_names import CHUNK_VECTORS, LIBRARY_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.live_runs import close_dead_runs, remove_locks_of_ended
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.upkeep.retention import USUAL, Retention
from indexing_assets.upkeep.small_batches import batches_to_merge, merge_small_batches, small_batches

if TYPE_CHECKING:  # it imports Dagster's storages, a quarter of the time in which definitions load
    from indexing_assets.upkeep.expired_records import ExpiredRecords

# Temporary files of writers that are gone; a living one finishes its files in seconds.
LEFTOVER_AGE = timedelta(hours=1)
# What phases let pile up before they clean by themselves.
_SMALL_BATCHES = 32
_OLD_UNUSED_VECTORS = 64
_RUNS_MORE = 100


@dataclass(frozen=True, slots=True)
class Expired:
    """Garbage that `code-index cleanup` would remove at this moment; sizes in bytes."""

    small_batches: int
    merged_batches: int
    unused_vectors: int
    leftovers: int
    leftover_bytes: int
    old_versions: int
    table_bytes: int
    live_bytes: int
    records: ExpiredRecords
    library: ExpiredVectors


def find_expired(index: OpenIndex, kept: Retention) -> Expired:
    """Look, and change nothing.

    Raises:
        StoreError: a table cannot be read.
    """
    unused_since = datetime.now(UTC) - kept.unused_vectors
    store = index.store
    groups = batches_to_merge(index, small_batches(index))
    sizes = store.upkeep.leftovers(LEFTOVER_AGE)
    return Expired(
        small_batches=sum(map(len, groups)),
        merged_batches=len(groups),
        unused_vectors=store.vectors.count_retired(before=unused_since)
        + store.models.replaced_vectors(before=unused_since),
        leftovers=len(sizes),
        leftover_bytes=sum(sizes.values()),
        old_versions=sum(store.upkeep.old_versions(kept.versions).values()),
        table_bytes=sum(store.upkeep.disk_bytes().values()),
        live_bytes=sum(store.upkeep.live_bytes().values()),
        records=_expired_records(index, kept.runs),
        library=find_expired_of_user(index.settings),
    )


def expire_records(index: OpenIndex, *, keep_runs: int) -> ExpiredRecords:
    """Remove records that nothing refers to; returns what was removed. Safe beside other processes."""
    with importing:
        from indexing_assets.upkeep.expired_records import remove_expired_records

    close_dead_runs(index.instance, index)
    remove_locks_of_ended(index.instance)  # after the runs that they are about
    found = _expired_records(index, keep_runs)
    remove_expired_records(index.instance, found)
    return found


def compact_and_expire(index: OpenIndex) -> str:
    """Merge and expire where much has piled up, at the end of phase 2. The caller holds phase 2's lock.

    Returns:
        what was done, for a log; empty where there was nothing to do.
    """
    with importing:
        from indexing_assets.upkeep.expired_records import run_log_count

    store = index.store
    done = []
    if small_batches(index).height >= _SMALL_BATCHES:
        try:
            # Never waits: a parse run may wait for this process to end.
            with hold(index.folder.locks, Phase.PARSE, wait_s=0):
                merged = merge_small_batches(index, at_least=_SMALL_BATCHES)
            if merged:
                done.append(f"merged {merged} small batches")
        except IndexBusyError:
            pass  # the next run does it
    unused_since = datetime.now(UTC) - USUAL.unused_vectors
    if store.vectors.count_retired(before=unused_since) >= _OLD_UNUSED_VECTORS:
        done.append(
            f"removed {store.vectors.forget_retired(before=unused_since)} vectors that nothing used for 30 days"
        )
    # Logs and not runs: of a run to which a partition refers a record stays. Where others' logs lie beside them, the
    # number says nothing, and the nightly maintenance does it.
    if index.names.index is None and run_log_count(index.instance) > USUAL.runs + _RUNS_MORE:
        removed = expire_records(index, keep_runs=USUAL.runs)
        done.append(f"removed {len(removed.events)} old events and {len(removed.runs)} old runs of Dagster's records")
    return ", ".join(done)


def _expired_records(index: OpenIndex, keep_runs: int) -> ExpiredRecords:
    with importing:
        from indexing_assets.upkeep.expired_records import find_expired_records

    return find_expired_records(index.instance, lambda: _living(index), keep_runs=keep_runs, names=index.names)


def _living(index: OpenIndex) -> dict[dg.AssetKey, list[str]]:
    partitioned = (PARSED_CHUNKS, LIBRARY_VECTORS, CHUNK_VECTORS)
    return {index.names.asset_key(asset): index.partition_keys(asset) for asset in partitioned}
