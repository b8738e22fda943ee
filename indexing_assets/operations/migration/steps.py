"""A migration done: back up, stage, adopt the settings, switch over, write Dagster's records.

Belongs here: the order of these steps, and those that belong to no other module. Does not belong here: the rows
(`indexing_assets.operations.migration.carrier`, `staging`) and the way back (`indexing_assets.operations.migration.rollback`).

The old index is only read. A process that is killed before the rename that puts the staged tables in place leaves an
index as it was, and one that is killed after it leaves only records to write. See docs/decisions/0010-migration.md.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import MigrationError
from code_index.core.partition_keys import batch_partition_key
from code_index.index.folder import IndexFolder
from code_index.index.locks import LockOwner, hold_all
from code_index.index.settings import settings_template, settings_with
from code_index.tables import IndexStore
from code_index.tables.table_names import FILES_TABLE, INDEX_TABLES
from indexing_assets.operations.migration.carrier import Carrier, MigrationReport
from indexing_assets.operations.migration.old_index.table import OldTable
from indexing_assets.operations.migration.plan import Plan
from indexing_assets.operations.migration.rollback import (
    back_up,
    move_asset_tables,
    read_record,
    remove,
    write_record,
)
from indexing_assets.operations.migration.staging import stage
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, REFERENCES, SOURCE_FILES
from indexing_assets.runs.materializations import record_outside_runs
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import chunker_code_version, embedding_identity
from resources.dagster_internals import compute_logical_data_version
from resources.instance_config import instance_config

_STAGING = ".migration"


def dry_run(plan: Plan) -> MigrationReport:
    """Read everything as a migration would, and write nothing.

    Raises:
        MigrationError: the migration could not be done.
    """
    started = time.perf_counter()
    if read_record(plan.folder) is None:
        _refuse_filled(plan.folder)
    carrier = Carrier(plan, OldTable(plan.old.table_folder))
    for _ in carrier.carry():
        pass
    return _finished(carrier.report, started)


def migrate(
    plan: Plan, *, wait_s: float | None = None, on_wait: Callable[[LockOwner | None], None] | None = None
) -> MigrationReport:
    """Import the old index; after a kill a second call continues or starts again, whichever is right.

    Raises:
        MigrationError: it cannot be imported; the index and the old index are as they were.
        IndexBusyError: another process writes to the index.
        StoreError: the disk is full or cannot be written.
    """
    started = time.perf_counter()
    folder = plan.folder
    folder.create(instance_config())
    with hold_all(folder.locks_dir, wait_s=wait_s, on_wait=on_wait):
        if (known := read_record(folder)) is not None:
            _register(folder, known)
            return _finished(MigrationReport(**known["report"]), started)
        _refuse_filled(folder)
        back_up(plan)
        staging = folder.path / _STAGING
        move_asset_tables(staging, folder.tables_dir)  # a kill during the switch-over left them there
        remove(staging)
        carrier = Carrier(plan, OldTable(folder.backup_dir))
        stage(carrier, staging)
        record = write_record(staging, plan, _finished(carrier.report, started))
        adopt_settings(plan)
        switch_over(folder, staging)
        _register(folder, record)
    return _finished(carrier.report, started)


def adopt_settings(plan: Plan) -> None:
    """Write the settings of the old vectors' model into `settings.toml`."""
    path = plan.folder.settings_path
    text = path.read_text(encoding="utf-8") if path.exists() else settings_template()
    write_atomically(path, settings_with(text, plan.values))


def switch_over(folder: IndexFolder, staging: Path) -> None:
    """Put the staged tables in place by one rename; those of the index that are there have no rows."""
    move_asset_tables(folder.tables_dir, staging)
    for leftover in list(folder.tables_dir.iterdir()):
        remove(leftover)
    staging.rename(folder.tables_dir)


def _refuse_filled(folder: IndexFolder) -> None:
    store = IndexStore(folder.tables_dir)
    if any(store.tables.count(name) for name in INDEX_TABLES - {FILES_TABLE}):
        raise MigrationError(
            f"{folder.path} holds an index already ({store.chunks.count()} chunks). To import the old index, name "
            f"another folder with --index-dir, or remove {folder.path} first. Nothing was changed."
        )


def _finished(report: MigrationReport, started: float) -> MigrationReport:
    report.seconds = round(time.perf_counter() - started, 2)
    return report


def _register(folder: IndexFolder, record: Mapping[str, Any]) -> None:
    """Record partition keys and materializations of all that was migrated, with its origin; repeatable."""
    with Pipeline(folder) as pipeline:
        index = pipeline.index
        note = {
            "migrated_from": record["source"],
            "migrated_from_program": record["report"]["program"],
            "migrated_at": record["migrated_at"],
        }
        files = index.store.files.read(["partition_key", "file_hash", "chunk_count"]).to_pylist()
        source_files = index.names.asset_key(SOURCE_FILES)
        if index.instance.get_latest_materialization_event(source_files) is None:
            # The version that a scan gets: what was made from this one is not stale after the next.
            version = compute_logical_data_version("1", {}).value
            counts: dict[str | None, Any] = {None: {**note, "dagster/row_count": len(files)}}
            record_outside_runs(index.instance, source_files, counts, code_version="1", data_versions={None: version})
        # References do not come along; their partitions say so with none, as those of a file without names do.
        for asset, rows in (
            (REFERENCES, {row["partition_key"]: {"references": 0} for row in files}),
            (PARSED_CHUNKS, {row["partition_key"]: {"chunks": row["chunk_count"]} for row in files}),
        ):
            _register_partitions(
                index,
                asset,
                list(rows),
                rows,
                note,
                code_version=chunker_code_version(index.settings),
                data_versions={row["partition_key"]: row["file_hash"] for row in files},
                parent=source_files,
            )
        batches = index.store.statuses.batches(record["report"]["model_id"]).to_pylist()
        complete = [batch for batch in batches if not (batch["pending"] or batch["errors"])]
        _register_partitions(
            index,
            CHUNK_VECTORS,
            [batch_partition_key(batch["embedding_batch_id"]) for batch in batches],
            {batch_partition_key(batch["embedding_batch_id"]): {"chunks": batch["chunks"]} for batch in complete},
            note,
            code_version=embedding_identity(index.settings),
        )


def _register_partitions(
    index: OpenIndex,
    asset: str,
    keys: Iterable[str],
    rows: Mapping[str, Mapping[str, int]],
    note: Mapping[str, str],
    **versions: Any,
) -> None:
    """Add the keys that are missing, and record those in `rows`, each with its named count, that have no event."""
    known = set(index.partition_keys(asset))
    index.instance.add_dynamic_partitions(index.names.partitions(asset), [key for key in keys if key not in known])
    done = index.materialized_keys(asset)
    metadata: dict[str | None, Any] = {
        key: {**note, **counts, "dagster/partition_row_count": sum(counts.values())}
        for key, counts in rows.items()
        if key not in done
    }
    record_outside_runs(index.instance, index.names.asset_key(asset), metadata, **versions)
