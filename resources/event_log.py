"""An event log on SQLite that keeps up with one partition per file.

Dagster's `SqliteEventLogStorage` opens a new connection and commits to two databases for each
event (benchmarks/bookkeeping.py measures both). This subclass keeps one connection per
database, commits without `fsync` (write-ahead log, `synchronous=NORMAL`: a killed process loses
nothing, a power cut may lose the last transactions, which are restored from the tables) and writes
a batch of events in one transaction per database. A lasting connection leaves what it writes in
the write-ahead log for a while, so live logs are polled (`resources.event_watcher`).

Rejected: `ConsolidatedSqliteEventLogStorage` (one database for all runs; the run page then scans
it) and a separate log (the UI reads Dagster's).

`resources.own_instance` names it for the instance of an index; batches arrive when `DAGSTER_EVENT_BATCH_SIZE`
is set.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as db
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool, StaticPool

from resources.dagster_internals import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    INDEX_SHARD_NAME,
    STEP_STATS_EVENT_TYPES,
    AssetEventTagsTable,
    ConfigurableClassData,
    DynamicPartitionsTable,
    EventHandlerFn,
    RunStepKeyStatsSnapshot,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
    UserConfigSchema,
    build_run_step_stats_from_events,
    create_db_conn_string,
    deserialize_values,
)
from resources.dynamic_partition_keys import BatchedPartitionKeys
from resources.event_watcher import RunWatcher
from resources.record_storage import BUSY_TIMEOUT_S, CONFIG_TYPE, create_once, folder_of_records, look_once
from resources.remembered_keys import RememberedKeys

# Maximum of a run's materializations in the stats of its steps.
_MATERIALIZATIONS_IN_STATS = 100
# Partitions that one statement names; SQLite refuses more than 32,766.
_PARTITIONS_ASKED_FOR = 1_000
# Databases of runs kept open at once; each takes three file descriptors.
_MAX_OPEN_SHARDS = 16
# A watcher that is reading ends after the read.
_WATCHER_END_S = 15
_ANY_PARTITION = "b1f7c1f2-any-partition"


@dataclass(frozen=True, slots=True)
class _Shard:
    """An open database: its engine and the file that it was opened on, as (device, inode)."""

    engine: Engine
    file: tuple[int, int] | None


class BatchingSqliteEventLogStorage(RememberedKeys, BatchedPartitionKeys, SqliteEventLogStorage):
    """`SqliteEventLogStorage` with lasting connections and batched writes; same files, same schema."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._shards: OrderedDict[str, _Shard] = OrderedDict()
        self._shards_pid = os.getpid()
        self._inherited: list[OrderedDict[str, _Shard]] = []
        self._run_watchers: dict[tuple[str, EventHandlerFn], RunWatcher] = {}
        self._known_tables: set[str] = set()
        create_once(
            Path(base_dir) / f"{INDEX_SHARD_NAME}.db", lambda folder: SqliteEventLogStorage(str(folder)).dispose()
        )
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Config schema: `base_dir`, by default `history/runs` in `DAGSTER_HOME`."""
        return CONFIG_TYPE

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, Any]
    ) -> BatchingSqliteEventLogStorage:
        """Build the storage that `dagster.yaml` describes.

        Raises:
            SettingsError: neither `base_dir` nor the environment variable `DAGSTER_HOME` is set.
        """
        return cls(base_dir=folder_of_records(config_value, "history", "runs"), inst_data=inst_data)

    def has_table(self, table_name: str) -> bool:
        """Tell whether the index database has the table; one that was seen once stays."""
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """Let Dagster hand over the planned partitions of a run and asset in one event.

        The log of the run keeps it so. Beside the assets' other events it is one for each partition, until that partition
        is materialized: what is planned, failed or under way is told from these by Dagster.
        """
        return True

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events, in order, in one transaction per database."""
        by_run: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            by_run.setdefault(event.run_id, []).append(self._event_to_row(event))
        for run_id, run_rows in by_run.items():
            with self.run_connection(run_id) as connection:
                connection.execute(SqlEventLogStorageTable.insert(), run_rows)

        mirrored = [
            (event, row)
            for event in events
            if _is_of(event, ASSET_EVENTS, ASSET_CHECK_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS)
            for row in self._rows_of(event)
        ]
        if not mirrored:
            return
        with self.index_transaction() as connection:
            # First: what is stored takes the room of these.
            _delete_plans_carried_out(connection, [event for event, _ in mirrored])
            insert = SqlEventLogStorageTable.insert().returning(
                SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
            )
            ids = [int(row[0]) for row in connection.execute(insert, [row for _, row in mirrored])]
            stored = [(event, event_id) for (event, _), event_id in zip(mirrored, ids, strict=True)]
            self._index_asset_events(connection, [pair for pair in stored if _is_of(pair[0], ASSET_EVENTS)])
        for event, event_id in stored:
            if _is_of(event, ASSET_CHECK_EVENTS):
                self.store_asset_check_event(event, event_id)

    def _rows_of(self, event: dg.EventLogEntry) -> list[dict[str, Any]]:
        """The row of an event, or one for each partition that it plans.

        Their texts differ in one word: to make and serialize an event for each took three times as long as to store it.
        """
        keys = _planned_partitions(event)
        if keys is None:
            return [self._event_to_row(event)]
        planned = event.get_dagster_event()
        data = planned.asset_materialization_planned_data._replace(partition=_ANY_PARTITION, partitions_subset=None)
        row = self._event_to_row(event._replace(dagster_event=planned._replace(event_specific_data=data)))
        before, after = row["event"].split(json.dumps(_ANY_PARTITION))
        return [{**row, "partition": key, "event": f"{before}{json.dumps(key)}{after}"} for key in keys]

    def _insert_keys(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        connection.execute(DynamicPartitionsTable.insert().prefix_with("OR IGNORE"), rows)

    def delete_events(self, run_id: str) -> None:
        """Delete all events of a run, and the file of its log."""
        with self.index_transaction() as connection:
            of_run = db.select(SqlEventLogStorageTable.c.id).where(SqlEventLogStorageTable.c.run_id == run_id)
            # A subquery: SQLite refuses as many variables as a run has materializations.
            connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(of_run)))
            connection.execute(SqlEventLogStorageTable.delete().where(SqlEventLogStorageTable.c.run_id == run_id))
        self.forget_events()
        if self.supports_global_concurrency_limits:
            self.free_concurrency_slots_for_run(run_id)
        self.delete_run_log(run_id)

    def delete_run_log(self, run_id: str) -> int:
        """Delete the log of a run that ended; its materializations stay. Returns the bytes that the files took."""
        with self._db_lock:
            self._close_shard(run_id)
        freed = self.run_log_bytes(run_id)
        for path in self._run_log_files(run_id):
            path.unlink(missing_ok=True)
        return freed

    def run_log_bytes(self, run_id: str) -> int:
        """Bytes that the log of a run takes; 0 where it has none."""
        return sum(path.stat().st_size for path in self._run_log_files(run_id) if path.exists())

    def run_log_count(self) -> int:
        """Number of runs that have a log."""
        index = Path(self.path_for_shard(INDEX_SHARD_NAME)).name
        return sum(path.name != index for path in Path(self._base_dir).glob("*.db"))

    def _run_log_files(self, run_id: str) -> list[Path]:
        return [Path(self.path_for_shard(run_id) + ending) for ending in ("", "-wal", "-shm")]

    def get_asset_keys_for_run(
        self, run_id: str, of_type: dg.DagsterEventType | set[dg.DagsterEventType] | None = None
    ) -> AbstractSet[dg.AssetKey]:
        """List the assets that events of a run are about.

        The page of a run needs this. Dagster's own storage reads each pair of asset and partition for it, and here an index
        suffices: the database of a run has its events only.
        """
        columns = SqlEventLogStorageTable.c
        query = (
            db.select(columns.asset_key, columns.dagster_event_type).where(columns.asset_key.is_not(None)).distinct()
        )
        kinds = {of_type} if isinstance(of_type, dg.DagsterEventType) else of_type
        names = {kind.value for kind in kinds or dg.DagsterEventType}
        with self.run_connection(run_id) as connection:
            rows = connection.execute(query).all()
        found = (dg.AssetKey.from_db_string(row.asset_key) for row in rows if row.dagster_event_type in names)
        return {asset_key for asset_key in found if asset_key is not None}

    def get_latest_asset_partition_materialization_attempts_without_materializations(
        self, asset_key: dg.AssetKey, after_storage_id: int | None = None
    ) -> Mapping[str, tuple[str, int]]:
        """Tell run and event of each partition that is planned and not materialized since: it failed, or is under way.

        Pages of an asset need this, while a run is under way at each look. Few plans are left (`store_event_batch`), and
        their partitions only are asked for; Dagster's own storage reads the last event of each partition.
        """
        planned = self.get_latest_storage_id_by_partition(asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        planned = {key: event_id for key, event_id in planned.items() if event_id > (after_storage_id or 0)}
        made = self.get_latest_storage_id_by_partition(
            asset_key,
            dg.DagsterEventType.ASSET_MATERIALIZATION,
            partitions=set(planned) if len(planned) <= _PARTITIONS_ASKED_FOR else None,
        )
        open_plans = {event_id: key for key, event_id in planned.items() if event_id > made.get(key, 0)}
        if not open_plans:
            return {}
        columns = SqlEventLogStorageTable.c
        query = db.select(columns.id, columns.run_id).where(
            columns.asset_key == asset_key.to_string(),
            columns.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
            columns.id >= min(open_plans),
        )
        with self.index_connection() as connection:
            runs = {row.id: row.run_id for row in connection.execute(query)}
        return {key: (runs[event_id], event_id) for event_id, key in open_plans.items()}

    def get_step_stats_for_run(
        self, run_id: str, step_keys: Sequence[str] | None = None
    ) -> Sequence[RunStepKeyStatsSnapshot]:
        """Times and states of a run's steps; of a run's materializations the first 100 at most.

        The page of a run needs this. Dagster's own storage reads every materialization of the run for it:
        14 s for a run over 60,000 partitions, of which the page shows none.
        """
        columns = SqlEventLogStorageTable.c
        is_materialization = columns.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
        others = [
            kind.value for kind in STEP_STATS_EVENT_TYPES if kind is not dg.DagsterEventType.ASSET_MATERIALIZATION
        ]
        # All rows of the database are of this run: named, SQLite would go through all of them.
        query = db.select(columns.id, columns.event).where(columns.step_key.is_not(None)).order_by(columns.id)
        if step_keys:
            query = query.where(columns.step_key.in_(step_keys))
        with self.run_connection(run_id) as connection:
            rows = [
                *connection.execute(query.where(columns.dagster_event_type.in_(others))),
                *connection.execute(query.where(is_materialization).limit(_MATERIALIZATIONS_IN_STATS)),
            ]
        events = deserialize_values((text for _, text in sorted((row.id, row.event) for row in rows)), dg.EventLogEntry)
        return build_run_step_stats_from_events(run_id, events)

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back for each event of a run after the cursor, within a second."""
        watcher = RunWatcher(self, run_id, cursor, callback)
        self._run_watchers[run_id, callback] = watcher
        watcher.start()

    def end_watch(self, run_id: str, handler: EventHandlerFn) -> None:
        """End a watch."""
        watcher = self._run_watchers.pop((run_id, handler), None)
        if watcher is not None:
            watcher.stop()

    def wipe(self) -> None:
        """Delete every event; closes connections first, which would go on in the deleted files."""
        self._close_shards()
        super().wipe()

    def dispose(self) -> None:
        """End all watches and close the connections."""
        while self._run_watchers:
            _, watcher = self._run_watchers.popitem()
            watcher.stop()
            if watcher is not threading.current_thread():
                watcher.join(timeout=_WATCHER_END_S)
        self._close_shards()
        super().dispose()

    def _index_asset_events(self, connection: Connection, stored: Sequence[tuple[dg.EventLogEntry, int]]) -> None:
        if not stored:
            return
        self._store_asset_event_tags(connection, [event for event, _ in stored], [event_id for _, event_id in stored])
        # The asset's own row keeps only the last event of each type.
        last = {(event.get_dagster_event().asset_key, event.dagster_event_type): (event, i) for event, i in stored}
        for event, event_id in sorted(last.values(), key=lambda pair: pair[1]):
            self._store_asset_event(connection, event, event_id)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            try:
                with self._engine(shard).connect() as connection, connection.begin():
                    yield connection
            except BaseException:
                # An interrupt may leave a statement half read. Its snapshot would outlive the transaction, and once another
                # process had written, this connection could never write again: "database is locked", at once and always.
                self._close_shard(shard)
                raise

    def _engine(self, shard: str) -> Engine:
        if self._shards_pid != os.getpid():
            # A forked child must neither use nor close its parent's connections: closing drops locks.
            self._inherited.append(self._shards)
            self._shards = OrderedDict()
            self._shards_pid = os.getpid()
        path = self.path_for_shard(shard)
        known = self._shards.get(shard)
        if known is not None:
            if known.file == _file_identity(path):
                self._shards.move_to_end(shard)
                return known.engine
            # Another process wiped the log, and may have started a new file.
            self._close_shard(shard)
        if _file_identity(path) is None:
            # A database is a copy of one that Dagster made: making each would cost 0.3 s.
            create_once(Path(path), lambda folder: self._copy_template(folder / Path(path).name))
            self._initialized_dbs.add(shard)
        engine = db.create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        )
        db.event.listen(engine, "connect", _set_pragmas)
        if shard not in self._initialized_dbs:
            look_once(Path(path), lambda: self._initdb(engine))
            self._initialized_dbs.add(shard)
        self._shards[shard] = _Shard(engine, _file_identity(path))
        while len(self._shards) > _MAX_OPEN_SHARDS:
            _, oldest = self._shards.popitem(last=False)
            oldest.engine.dispose()
        return engine

    def _copy_template(self, target: Path) -> None:
        template = Path(self._base_dir, "templates", f"dagster-{dg.__version__}.db")

        def make(folder: Path) -> None:
            engine = db.create_engine(create_db_conn_string(str(folder), template.stem), poolclass=NullPool)
            self._initdb(engine)

        create_once(template, make)
        shutil.copyfile(template, target)

    def _close_shard(self, name: str) -> None:
        shard = self._shards.pop(name, None)
        if shard is not None:
            shard.engine.dispose()
        self._initialized_dbs.discard(name)

    def _close_shards(self) -> None:
        with self._db_lock:
            if self._shards_pid == os.getpid():
                for shard in self._shards.values():
                    shard.engine.dispose()
                self._shards.clear()


def _file_identity(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


def _delete_plans_carried_out(connection: Connection, events: Sequence[dg.EventLogEntry]) -> None:
    """Delete the plans of partitions that events materialize: nothing is told from them any more.

    The newest plan of an asset stays, by which pages name the asset's last run.
    """
    columns = SqlEventLogStorageTable.c
    is_plan = columns.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
    made: dict[str, list[str]] = {}
    for event in events:
        told = event.dagster_event
        if told is not None and told.is_step_materialization and told.asset_key and told.partition is not None:
            made.setdefault(told.asset_key.to_string(), []).append(told.partition)
    for asset, partitions in made.items():
        newest = connection.execute(
            db.select(db.func.max(columns.id)).where(columns.asset_key == asset, is_plan)
        ).scalar_one()
        if newest is None:
            continue
        carried_out = SqlEventLogStorageTable.delete().where(
            columns.asset_key == asset, is_plan, columns.partition == db.bindparam("made"), columns.id < newest
        )
        connection.execute(carried_out, [{"made": key} for key in partitions])


def _planned_partitions(event: dg.EventLogEntry) -> Sequence[str] | None:
    """The partitions that an event plans together."""
    planned = event.dagster_event
    is_planned = planned is not None and planned.is_asset_materialization_planned
    subset = planned.partitions_subset if planned is not None and is_planned else None
    return None if subset is None else list(subset.get_partition_keys())


def _is_of(event: dg.EventLogEntry, *types: Container[Any]) -> bool:
    return event.is_dagster_event and any(event.dagster_event_type in group for group in types)
