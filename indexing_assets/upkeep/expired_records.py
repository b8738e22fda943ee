"""Dagster's records that nothing refers to any more, and their removal.

Dagster keeps every run, every event and every log forever; each edit of a file adds a run with a log
of its own. What has to stay: the newest runs in full, for a person who looks; of older ones the last
event of each kind of each partition that exists, because a partition is materialized through its
event; and runs that are not finished. Everything else goes: events of partitions that are gone or
were materialized again, the logs of old runs, and old runs to which nothing refers.

Rejected: `DagsterInstance.delete_run` for all old runs, which deletes the materializations of living
partitions; and `wipe_partitions`, which open-source Dagster does not have.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import dagster as dg
import polars as pl
import sqlalchemy as db
from sqlalchemy.engine import Connection

from indexing_assets.runs.index_names import ASSETS, UNNAMED, IndexNames
from indexing_assets.runs.live_runs import is_run_of_index
from resources.dagster_internals import (
    INDEX_SHARD_NAME,
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorage,
    SqlEventLogStorageTable,
)
from resources.event_log import BatchingSqliteEventLogStorage

_AT_ONCE = 5_000
# Events of assets without partitions, which plots over time show.
_KEPT_OF_AN_ASSET = 200
_CHECK_TYPES = (
    dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
)
_TYPES = (
    dg.DagsterEventType.ASSET_MATERIALIZATION.value,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
    dg.DagsterEventType.ASSET_OBSERVATION.value,
    *_CHECK_TYPES,
)
# Free pages that are worth the copying of a database: a quarter of it, and more than this.
_VACUUM_BYTES = 4 << 20
_VACUUM_SHARE = 4


@dataclass(frozen=True, slots=True)
class ExpiredRecords:
    """Records that may go: ids of events and check executions, ids of runs, and ids of runs whose log may go."""

    events: Sequence[int] = ()
    check_executions: Sequence[int] = ()
    runs: Sequence[str] = ()
    logs: Sequence[str] = ()
    log_bytes: int = 0

    @property
    def count(self) -> int:
        """Number of records."""
        return len(self.events) + len(self.check_executions) + len(self.runs) + len(self.logs)


def find_expired_records(
    instance: dg.DagsterInstance,
    living: Callable[[], Mapping[dg.AssetKey, Collection[str]]],
    *,
    keep_runs: int,
    names: IndexNames = UNNAMED,
) -> ExpiredRecords:
    """Find the records that may go.

    Args:
        instance: Dagster's records; other storages than SQL ones have nothing that may go.
        living: gives the partition keys that exist, by partitioned asset; asked after the events were read,
            so that a partition that another process makes meanwhile does not look gone. Events of assets that
            are not named stay, those of unpartitioned ones up to the 200 newest of each kind.
        keep_runs: so many runs stay in full, the newest ones.
        names: of the index. An index without a name has an instance of its own; records of a named one lie among those
            of others, of which none may go.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return ExpiredRecords()
    with storage.index_connection() as connection:
        checks = _check_executions(connection)
        events = _events(connection)
    records = instance.get_run_records()
    if names.index is not None:
        records = [record for record in records if is_run_of_index(record.dagster_run, names)]
        own = [names.asset_key(asset).to_string() for asset in ASSETS]
        checks, events = (table.filter(pl.col("asset_key").is_in(own)) for table in (checks, events))
    protected = {record.dagster_run.run_id for record in records[:keep_runs]}
    protected |= {record.dagster_run.run_id for record in records if not record.dagster_run.is_finished}
    old = [record.dagster_run.run_id for record in records if record.dagster_run.run_id not in protected]
    last_checks = checks.filter(pl.col("id") == pl.col("id").max().over("asset_key", "check_name"))
    events = events.with_columns(kept=_is_kept(events, living(), protected, last_checks["event_id"]))
    referred = {*events.filter("kept")["run_id"], *last_checks["run_id"]}
    sizes = (
        {run_id: storage.run_log_bytes(run_id) for run_id in old}
        if isinstance(storage, BatchingSqliteEventLogStorage)
        else {}
    )
    return ExpiredRecords(
        events=events.filter(~pl.col("kept"))["id"].to_list(),
        check_executions=checks.join(last_checks, on="id", how="anti")
        .filter(~pl.col("run_id").is_in(list(protected)))["id"]
        .to_list(),
        runs=[run_id for run_id in old if run_id not in referred],
        logs=[run_id for run_id in old if run_id in referred and sizes.get(run_id)],
        log_bytes=sum(sizes.values()),
    )


def run_log_count(instance: dg.DagsterInstance) -> int:
    """Number of runs that have a log of their own, which `remove_expired_records` leaves to the newest ones only.

    0 for other storages than the project's own: what is removed there leaves no trace that is quick to see.
    """
    storage = instance.event_log_storage
    return storage.run_log_count() if isinstance(storage, BatchingSqliteEventLogStorage) else 0


def remove_expired_records(instance: dg.DagsterInstance, expired: ExpiredRecords) -> None:
    """Remove what `find_expired_records` found; a kill in between leaves the rest for the next time."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage) or not expired.count:
        return
    for ids in _slices(expired.events):
        with storage.index_transaction() as connection:
            connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(ids)))
            connection.execute(SqlEventLogStorageTable.delete().where(SqlEventLogStorageTable.c.id.in_(ids)))
    for ids in _slices(expired.check_executions):
        with storage.index_transaction() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.id.in_(ids)))
    for run_id in expired.runs:
        instance.delete_run(run_id)
    if isinstance(storage, BatchingSqliteEventLogStorage):
        storage.forget_events()
        for run_id in expired.logs:
            storage.delete_run_log(run_id)
    _shrink(storage)


def _events(connection: Connection) -> pl.DataFrame:
    """Events of assets and checks: id, run_id, kind, asset_key, partition."""
    columns = SqlEventLogStorageTable.c
    query = db.select(
        columns.id, columns.run_id, columns.dagster_event_type, columns.asset_key, columns.partition
    ).where(columns.dagster_event_type.in_(_TYPES))
    schema = {"id": pl.Int64, "run_id": pl.String, "kind": pl.String, "asset_key": pl.String, "partition": pl.String}
    return pl.DataFrame([tuple(row) for row in connection.execute(query)], schema=schema, orient="row")


def _check_executions(connection: Connection) -> pl.DataFrame:
    """Executions of checks: id, run_id, asset_key, check_name, and the id of the event that says so."""
    columns = AssetCheckExecutionsTable.c
    query = db.select(
        columns.id, columns.run_id, columns.asset_key, columns.check_name, columns.evaluation_event_storage_id
    )
    schema = {
        "id": pl.Int64,
        "run_id": pl.String,
        "asset_key": pl.String,
        "check_name": pl.String,
        "event_id": pl.Int64,
    }
    return pl.DataFrame([tuple(row) for row in connection.execute(query)], schema=schema, orient="row")


def _is_kept(
    events: pl.DataFrame,
    living: Mapping[dg.AssetKey, Collection[str]],
    protected: Collection[str],
    check_events: pl.Series,
) -> pl.Expr:
    """Select the events that something still refers to."""
    keys = pl.DataFrame(
        [(asset.to_string(), key) for asset, keys in living.items() for key in keys],
        schema={"asset_key": pl.String, "partition": pl.String},
        orient="row",
    )
    of_partition = ["asset_key", "partition", "kind"]
    last = events.drop_nulls(["asset_key", "partition"]).filter(pl.col("id") == pl.col("id").max().over(of_partition))
    of_living = last.join(keys, on=["asset_key", "partition"], how="semi")["id"]
    partitioned = [asset.to_string() for asset in living]
    without_partition = pl.col("partition").is_null() & ~pl.col("kind").is_in(_CHECK_TYPES)
    newest = pl.col("id").rank("ordinal", descending=True).over("asset_key", "partition", "kind") <= _KEPT_OF_AN_ASSET
    return (
        pl.col("run_id").is_in(list(protected))
        | pl.col("id").is_in(of_living.implode())
        | pl.col("id").is_in(check_events.drop_nulls().implode())
        | (without_partition & newest)
        | (pl.col("partition").is_not_null() & ~pl.col("asset_key").is_in(partitioned))
    ).fill_null(value=False)


def _shrink(storage: SqlEventLogStorage) -> None:
    """Shrink the database of a SQLite storage, where much of it is free and nobody else is at it."""
    if not isinstance(storage, BatchingSqliteEventLogStorage):
        return
    with storage.index_connection() as connection:
        free, pages, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("freelist_count", "page_count", "page_size")
        )
    if free * size > _VACUUM_BYTES and _VACUUM_SHARE * free > pages:
        path = storage.path_for_shard(INDEX_SHARD_NAME)
        # Refused while another process reads: then the next cleanup does it.
        with closing(sqlite3.connect(path, timeout=1)) as database, suppress(sqlite3.OperationalError):
            database.execute("VACUUM")


def _slices(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
