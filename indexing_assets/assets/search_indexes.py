"""The search indexes, and compaction and expiry of the whole index.

Belongs here: the asset that the maintenance schedule materializes. Does not belong here: the part
of it that each phase does at its end (`indexing_assets.upkeep.compaction`).
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from code_index.core.errors import IndexBusyError
from code_index.index.locks import Phase, check_held, hold
from code_index.sharing.libraries import compact_and_expire_of_user
from code_index.tables import IndexStore
from indexing_assets.runs.index_names import CHUNK_VECTORS, INDEX_RESOURCE, IO_MANAGER, SEARCH_INDEXES, IndexNames
from indexing_assets.runs.index_resources import index_of
from indexing_assets.runs.live_runs import tag_process
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.pools import PARSE_POOL
from indexing_assets.upkeep.compaction import CHUNK_TABLES, VECTOR_TABLES
from indexing_assets.upkeep.expiry import (
    LEFTOVER_AGE,
    expire_records,
)
from indexing_assets.upkeep.retention import USUAL
from indexing_assets.upkeep.small_batches import merge_small_batches
from resources.index_resource import IndexResource


class SearchIndexesConfig(dg.Config):
    """Retention of one run."""

    keep_versions_minutes: int = Field(
        default=USUAL.versions // timedelta(minutes=1),
        ge=10,
        description="Minutes to keep old versions of the tables; a long read may need one.",
    )
    keep_unused_vectors_days: int = Field(
        default=USUAL.unused_vectors.days,
        ge=0,
        description="Days to keep vectors of code that is gone; code that returns then needs no model call.",
    )
    keep_runs: int = Field(
        default=USUAL.runs,
        ge=1,
        description="Dagster runs to keep in full; of older ones only what partitions need to show as materialized "
        "or failed stays.",
    )


def build_search_indexes(names: IndexNames) -> dg.AssetsDefinition:
    """The asset `search_indexes` of an index."""

    @dg.asset(
        key=names.asset_key(SEARCH_INDEXES),
        # No batch is named: all that is stored counts.
        deps=[dg.AssetDep(names.asset_key(CHUNK_VECTORS), partition_mapping=dg.SpecificPartitionsPartitionMapping([]))],
        group_name=names.group_name,
        kinds={"python", "lancedb"},
        owners=["team:code-index"],
        code_version="1",
        pool=PARSE_POOL,
        required_resource_keys={names.prefixed(INDEX_RESOURCE)},
        io_manager_key=names.prefixed(IO_MANAGER),
    )
    def search_indexes(context: dg.AssetExecutionContext, config: SearchIndexesConfig) -> dg.MaterializeResult[None]:
        """The vector, full-text and scalar indexes of all tables, brought up to date.

        Also compacts the tables and frees the space of old versions, of what killed writers left,
        and of vectors whose code has been gone for long. Searching goes on meanwhile.
        """
        return _maintain(context, config, index_of(context, names), names)

    return search_indexes


def _maintain(
    context: dg.AssetExecutionContext, config: SearchIndexesConfig, index: IndexResource, names: IndexNames
) -> dg.MaterializeResult[None]:
    tag_process(context, index.folder(names.index).locks)
    opened = open_index(context.instance, index, names)
    folder, store = opened.folder, opened.store
    run_id = context.run.run_id
    started = time.perf_counter()
    before = store.upkeep.disk_bytes()
    retention = timedelta(minutes=config.keep_versions_minutes)
    metadata: dict[str, Any] = {"forgotten_vectors": 0, "removed_leftovers": 0, "merged_batches": 0}
    with hold(folder.locks, Phase.PARSE, run_id=run_id):
        built = store.upkeep.ensure_indexes()
        try:
            # Embedding may take hours: parsing must not wait for it.
            with hold(folder.locks, Phase.EMBED, run_id=run_id, wait_s=0):
                now = datetime.now(UTC)
                store.sync.vectors(now=now)  # drops vectors whose chunk is gone, however that came about
                unused_since = now - timedelta(days=config.keep_unused_vectors_days)
                metadata["forgotten_vectors"] = store.vectors.forget_retired(before=unused_since)
                metadata["forgotten_vectors"] += store.models.forget(before=unused_since)
                metadata["merged_batches"] = merge_small_batches(opened)
                check_held(folder.locks, Phase.EMBED)
                store.upkeep.optimize(retention, exclusive=True, tables=VECTOR_TABLES)
                metadata["removed_leftovers"] = store.upkeep.sweep_leftovers(LEFTOVER_AGE)
            metadata["embedding_under_way"] = False
        except IndexBusyError as busy:
            context.log.warning("The vectors are left for the next run: %s", busy)
            metadata["embedding_under_way"] = True
        check_held(folder.locks, Phase.PARSE)
        store.upkeep.optimize(retention, exclusive=True, tables=CHUNK_TABLES)
    store.upkeep.optimize(retention, tables=store.upkeep.asset_tables())
    compact_and_expire_of_user(opened.settings)
    removed = expire_records(opened, keep_runs=config.keep_runs)
    metadata |= {
        "removed_events": len(removed.events),
        "removed_runs": len(removed.runs),
        "removed_run_logs": len(removed.logs),
        "removed_log_bytes": removed.log_bytes,
    }
    after = store.upkeep.disk_bytes()
    outside = _rows_outside(store)
    context.log.info(
        "Brought the indexes of %d tables up to date in %.1f s (built %s); %.1f MB on disk, %.1f MB before.",
        len(after),
        time.perf_counter() - started,
        ", ".join(built) or "nothing new",
        sum(after.values()) / 1e6,
        sum(before.values()) / 1e6,
    )
    return dg.MaterializeResult(
        metadata={
            **metadata,
            "tables_bytes": sum(after.values()),
            "freed_bytes": sum(before.values()) - sum(after.values()),
            "rows_outside_indexes": sum(outside.values()),
            "built_indexes": len(built),
            "maintenance_s": round(time.perf_counter() - started, 2),
            **{f"{name}_bytes": size for name, size in after.items()},
        }
    )


def _rows_outside(store: IndexStore) -> dict[str, int]:
    """Rows that a query finds without the index of their column, by `table.column`."""
    found = {}
    for table, column in (("chunks", "search_text"), ("vectors", "vector")):
        if store.tables.version(table) and (rows := store.upkeep.unindexed_rows(table, column)) is not None:
            found[f"{table}.{column}"] = rows
    return found
