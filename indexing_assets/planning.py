"""What is missing: which partitions have to run.

The tables are the truth about what is stored, the event log is the record of it. A partition has
to run when its rows are missing, and also when they are there but no event says so.
"""

import dagster as dg
import polars as pl

from indexing_assets.core.chunking import CHUNKER_VERSION
from indexing_assets.core.model import FileStatus
from indexing_assets.core.partition_keys import batch_partition_key
from indexing_assets.partitions import EMBEDDING_BATCH, delete_partitions
from resources.lancedb_store import IndexStore
from resources.settings import Settings

_FILES = dg.AssetKey("parsed_chunks")
_VECTORS = dg.AssetKey("chunk_vectors")


def chunker_identity(settings: Settings) -> str:
    """Version of the chunker with the limits that shape its chunks; stored with each parsed file."""
    return f"{CHUNKER_VERSION}/{settings.max_chunk_characters}/{settings.min_chunk_characters}"


def files_to_parse(
    instance: dg.DagsterInstance,
    store: IndexStore,
    settings: Settings,
    *,
    force: bool = False,
    retry_failed: bool = False,
) -> list[str]:
    """Partition keys of the files that have to be parsed, in path order.

    Args:
        instance: where the events are.
        store: tables of the index.
        settings: limits of the chunker.
        force: all files.
        retry_failed: also those that failed for a reason that lasts.
    """
    files = pl.DataFrame(
        store.files(
            columns=["file_path", "file_hash", "partition_key", "status", "transient", "chunk_count", "chunker_version"]
        )
    ).filter(pl.col("partition_key").is_not_null() & (pl.col("status") != FileStatus.SKIPPED.value))
    if not force:
        stored = stored_chunk_counts(store)
        materialized = list(instance.get_materialized_partitions(_FILES))
        current = pl.col("chunker_version") == chunker_identity(settings)
        failed = pl.col("status") == FileStatus.ERROR.value
        done = (
            (pl.col("status") == FileStatus.PARSED.value)
            & current
            & (pl.col("chunk_count") == pl.col("stored_chunks").fill_null(0))
            & pl.col("partition_key").is_in(materialized)
        )
        given_up = failed & current & ~pl.col("transient").fill_null(value=False) & (not retry_failed)
        files = files.join(stored, on=["file_path", "file_hash"], how="left").filter(
            ~(done | given_up).fill_null(value=False)
        )
    return files.sort("file_path")["partition_key"].to_list()


def stored_chunk_counts(store: IndexStore) -> pl.DataFrame:
    """Chunks in the table per file version: file_path, file_hash, stored_chunks."""
    return (
        pl.DataFrame(store.chunks(["file_path", "file_hash"]))
        .group_by("file_path", "file_hash")
        .agg(pl.len().cast(pl.Int32).alias("stored_chunks"))
    )


def batches_to_embed(
    instance: dg.DagsterInstance, store: IndexStore, model_id: str, *, force: bool = False, retry_failed: bool = False
) -> list[str]:
    """Partition keys of the batches that have to be embedded, in order.

    Args:
        instance: where the events are.
        store: tables of the index.
        model_id: the model whose vectors are wanted.
        force: all batches.
        retry_failed: also those with nothing left but chunks that failed.
    """
    counts = pl.DataFrame(store.batches(model_id))
    if not force:
        recorded = [int(key) for key in instance.get_materialized_partitions(_VECTORS) if key.isdecimal()]
        pending = pl.col("pending") > 0
        unrecorded = (pl.col("errors") == 0) & ~pl.col("embedding_batch_id").is_in(recorded)
        failed = (pl.col("errors") > 0) & retry_failed
        counts = counts.filter(pending | unrecorded | failed)
    return [batch_partition_key(batch_id) for batch_id in counts.sort("embedding_batch_id")["embedding_batch_id"]]


def drop_empty_batches(instance: dg.DagsterInstance, store: IndexStore) -> int:
    """Remove the partition keys of batches whose chunks are all gone; returns how many."""
    living = {batch_partition_key(batch_id) for batch_id in store.batches()["embedding_batch_id"].to_pylist()}
    empty = [key for key in instance.get_dynamic_partitions(EMBEDDING_BATCH) if key not in living]
    delete_partitions(instance, EMBEDDING_BATCH, empty)
    return len(empty)
