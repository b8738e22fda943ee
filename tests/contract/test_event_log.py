"""Every read of `BatchingSqliteEventLogStorage` gives what Dagster's own storage gives for the same events."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey, DagsterEventType, EventRecordsFilter
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.events import ASSET_EVENTS, AssetMaterializationPlannedData
from dagster._core.events.log import EventLogEntry
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from dagster_shared.record import copy
from sqlalchemy import func, select

from code_index.core.errors import SettingsError
from indexing_assets.runs.materializations import log_materializations
from resources import event_log, event_watcher
from resources.event_log import BatchingSqliteEventLogStorage
from tests.waiting import PATIENCE_S, started, wait_until

warnings.filterwarnings("ignore", category=dg.BetaWarning)
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

_WRITES = (
    "store_event",
    "store_event_batch",
    "add_dynamic_partitions",
    "delete_dynamic_partition",
    "delete_events",
    "wipe_asset",
    "wipe_asset_partitions",
    "wipe",
    "update_asset_cached_status_data",
)
_KEYS = [f"{n:012x}:src/f{n}.py" for n in range(12)]
_PARTITIONS = dg.DynamicPartitionsDefinition(name="file_hash")
# Columns that a database fills from its own clock.
_CLOCK_COLUMNS = {"create_timestamp", "migration_completed", "wipe_timestamp", "asset_details"}


@pytest.fixture(scope="module")
def fresh_stock_log(tmp_path_factory):
    """A log of Dagster's own storage without an event, for tests to copy."""
    log = tmp_path_factory.mktemp("stock")
    SqliteEventLogStorage(str(log)).dispose()
    return log


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path, fresh_dagster_home, fresh_stock_log):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    shutil.copytree(fresh_dagster_home, tmp_path, dirs_exist_ok=True)
    for name in ("stock", "complete", "log"):
        shutil.copytree(fresh_stock_log, tmp_path / name)


@pytest.fixture
def storage(tmp_path):
    storage = BatchingSqliteEventLogStorage(str(tmp_path / "log"))
    yield storage
    storage.dispose()


@pytest.fixture
def both(tmp_path, monkeypatch):
    """An instance whose every write goes to Dagster's storage too, event by event; and both storages.

    Dagster's storage stands there twice. One has every event as Dagster makes them for it, a plan of several partitions as
    one event for each. From the other is taken what ours does not keep (`_store_as_ours`).
    """
    with dg.DagsterInstance.get() as instance:
        ours = instance.event_log_storage
        assert type(ours) is BatchingSqliteEventLogStorage
        stock = SqliteEventLogStorage(str(tmp_path / "stock"))
        stock.register_instance(instance)
        stock.complete = SqliteEventLogStorage(str(tmp_path / "complete"))
        stock.complete.register_instance(instance)

        within = []

        def forward(name):
            mine = getattr(ours, name)

            def write(*arguments):
                if not within and name.startswith("store_event"):
                    (given,) = arguments
                    for event in given if name == "store_event_batch" else [given]:
                        _store_as_ours(stock, event)
                        for one in _planned_apart(event):
                            stock.complete.store_event(one)
                elif not within:
                    getattr(stock, name)(*arguments)
                    getattr(stock.complete, name)(*arguments)
                within.append(name)
                mine(*arguments)
                within.pop()

            monkeypatch.setattr(ours, name, write)

        for name in _WRITES:
            forward(name)
        yield instance, ours, stock
        stock.dispose()
        stock.complete.dispose()


def _planned_apart(event):
    planned = event.dagster_event
    subset = planned.partitions_subset if planned is not None and planned.is_asset_materialization_planned else None
    if subset is None:
        return [event]
    return [
        event._replace(
            dagster_event=dg.DagsterEvent.build_asset_materialization_planned_event(
                planned.job_name, planned.step_key, AssetMaterializationPlannedData(planned.asset_key, partition=key)
            )
        )
        for key in subset.get_partition_keys()
    ]


def _store_as_ours(stock, event):
    """Store an event in Dagster's storage, then take from it what ours does not keep.

    That is, in the log of a run, events for each partition that is planned, which are one event there; and beside the
    assets' other events the plans of a partition that is materialized, but for the newest plan of the asset.
    """
    apart = _planned_apart(event)
    for one in apart:
        stock.store_event(one)
    columns = SqlEventLogStorageTable.c
    if len(apart) > 1:
        with stock.run_connection(event.run_id) as connection:
            newest = select(columns.id).order_by(columns.id.desc()).limit(len(apart))
            connection.execute(SqlEventLogStorageTable.delete().where(columns.id.in_(newest)))
            connection.execute(stock.prepare_insert_event(event))
    made = event.dagster_event
    if made is not None and made.is_step_materialization and made.partition is not None:
        plans = (columns.dagster_event_type == "ASSET_MATERIALIZATION_PLANNED") & (
            columns.asset_key == made.asset_key.to_string()
        )
        with stock.index_connection() as connection:
            newest = connection.execute(select(func.max(columns.id)).where(plans)).scalar_one()
            older = plans & (columns.partition == made.partition) & (columns.id < (newest or 0))
            connection.execute(SqlEventLogStorageTable.delete().where(older))


def _entry(run_id: str, text: str) -> EventLogEntry:
    return EventLogEntry(error_info=None, level=20, user_message=text, run_id=run_id, timestamp=time.time())


def _texts(storage, run_id: str) -> list[str]:
    return [record.event_log_entry.user_message for record in storage.get_records_for_run(run_id).records]


def _rows(base_dir: str) -> dict[str, list[dict]]:
    """Every row of every database below a folder."""
    found = {}
    for path in sorted(Path(base_dir).glob("*.db")):
        with sqlite3.connect(path) as connection:
            connection.row_factory = sqlite3.Row
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                if table != "sqlite_sequence":
                    rows = connection.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
                    found[f"{path.name}/{table}"] = [
                        {name: row[name] for name in row.keys() if name not in _CLOCK_COLUMNS}  # noqa: SIM118
                        for row in rows
                    ]
        connection.close()
    return found


@dg.asset(partitions_def=_PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run())
def returning(context: dg.AssetExecutionContext) -> None:
    """Leaves the events to Dagster, which writes one for each partition of the run."""


@dg.asset(partitions_def=_PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
def logging_asset(context: dg.AssetExecutionContext) -> None:
    """Logs its own events in batches, and fails for the last partition."""
    keys = context.partition_keys
    versions = {key: key[:12] for key in keys}
    log_materializations(context, {key: {"chunks": 1} for key in keys[:-1]}, code_version="1", data_versions=versions)
    log_materializations(context, {keys[0]: {"chunks": 2}}, code_version="2", data_versions=versions)
    context.log_event(dg.AssetObservation(context.asset_key, partition=keys[0], metadata={"seen": 1}, tags={"a": "b"}))
    context.log_event(dg.AssetMaterialization("elsewhere", tags={"dagster/data_version": "x"}))
    raise dg.Failure("one partition failed")


@dg.asset(
    check_specs=[dg.AssetCheckSpec("rows_are_many", asset="checked"), dg.AssetCheckSpec("second", asset="checked")]
)
def checked(context: dg.AssetExecutionContext):
    context.log_event(dg.AssetObservation("observed", tags={"dagster/data_version": "7"}))
    yield dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(check_name="rows_are_many", passed=False, severity=dg.AssetCheckSeverity.WARN),
            dg.AssetCheckResult(check_name="second", passed=True, metadata={"rows": 3}),
        ]
    )


@dg.asset_check(asset=checked)
def stands_alone() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


_DEFINITIONS = dg.Definitions(
    assets=[returning, logging_asset, checked],
    asset_checks=[stands_alone],
    jobs=[
        dg.define_asset_job("returning_job", [returning]),
        dg.define_asset_job("logging_job", [logging_asset]),
        dg.define_asset_job("checked_job", dg.AssetSelection.assets(checked)),
    ],
)
_ASSETS = [AssetKey(name) for name in ("returning", "logging_asset", "checked", "observed", "elsewhere", "reported")]


def _run(instance, job, first=None, last=None):
    tags = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last} if first else {}
    return _DEFINITIONS.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def _scenario(instance) -> list[str]:
    instance.add_dynamic_partitions("file_hash", _KEYS)
    run_ids = [
        _run(instance, job, *bounds).run_id
        for job, *bounds in (
            ("returning_job", _KEYS[0], _KEYS[7]),
            ("logging_job", _KEYS[0], _KEYS[5]),
            ("logging_job", _KEYS[4], _KEYS[9]),
            ("checked_job",),
            ("checked_job",),
        )
    ]
    instance.report_runless_asset_event(dg.AssetMaterialization("reported", partition="p"))
    instance.report_runless_asset_event(dg.AssetObservation("reported", partition="p"))
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=AssetKey("checked"), check_name="second", passed=False, metadata={})
    )
    instance.delete_dynamic_partition("file_hash", _KEYS[3])
    instance.add_dynamic_partitions("file_hash", _KEYS[2:5])
    return run_ids


def _check(record) -> tuple:
    """A check's execution without the time at which its row was made."""
    return record.key, record.id, record.run_id, record.status, record.event, record.partition


def _reads(storage, run_ids) -> dict[str, object]:
    """What the web pages, sensors and our own planning ask a storage."""
    checks = [dg.AssetCheckKey(AssetKey("checked"), name) for name in ("rows_are_many", "second", "stands_alone")]
    found: dict[str, object] = {
        "assets": sorted(storage.all_asset_keys()),
        "records": {
            # The details hold the time of a wipe, by each storage's own clock.
            record.asset_entry.asset_key: (record.storage_id, copy(record.asset_entry, asset_details=None))
            for record in storage.get_asset_records()
        },
        "latest": storage.get_latest_materialization_events(_ASSETS),
        "partitions": list(storage.get_dynamic_partitions("file_hash")),
        "checks": {k: _check(r) for k, r in storage.get_latest_asset_check_execution_by_key(checks).items()},
        "last check runs": {k: r.last_run_id for k, r in storage.get_asset_check_summary_records(checks).items()},
        "maximum": storage.get_maximum_record_id(),
    }
    for key in _ASSETS:
        found[f"{key} materialized"] = storage.get_materialized_partitions(key)
        found[f"{key} tags"] = storage.get_event_tags_for_asset(key)
        found[f"{key} failed"] = storage.get_latest_asset_partition_materialization_attempts_without_materializations(
            key
        )
        found[f"{key} versions"] = storage.get_latest_tags_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        )
        for kind in (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION):
            found[f"{key} {kind} by partition"] = storage.get_latest_storage_id_by_partition(key, kind)
        found[f"{key} materializations"] = storage.fetch_materializations(key, limit=100)
        found[f"{key} observations"] = storage.fetch_observations(key, limit=100)
        found[f"{key} planned"] = storage.get_latest_planned_materialization_info(key)
        for kind in sorted(ASSET_EVENTS, key=lambda kind: kind.value):
            found[f"{key} {kind}"] = storage.get_event_records(EventRecordsFilter(kind, asset_key=key))
    for check in checks:
        found[f"{check} history"] = [
            _check(record) for record in storage.get_asset_check_execution_history(check, limit=10)
        ]
    for run_id in run_ids:
        found[f"{run_id} events"] = storage.get_records_for_run(run_id).records
        found[f"{run_id} statistics"] = storage.get_stats_for_run(run_id)
        found[f"{run_id} steps"] = storage.get_step_stats_for_run(run_id)
        if hasattr(SqliteEventLogStorage, "get_asset_partitions_for_run"):  # not in the oldest Dagsters
            found[f"{run_id} partitions"] = storage.get_asset_partitions_for_run(run_id)
    for kind in (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_START):
        found[f"{kind} changes"] = storage.fetch_run_status_changes(kind, limit=100)
        found[f"{kind} records"] = storage.get_event_records(EventRecordsFilter(kind))
    return found


def _told_of_partitions(storage) -> dict[AssetKey, list[object]]:
    """What Dagster tells the states of partitions and assets from."""
    return {
        key: [
            storage.get_materialized_partitions(key),
            storage.get_latest_asset_partition_materialization_attempts_without_materializations(key),
            storage.get_latest_planned_materialization_info(key),
        ]
        for key in _ASSETS
    }


def _assert_same(both, run_ids) -> None:
    _, ours, stock = both
    assert _told_of_partitions(ours) == _told_of_partitions(stock.complete)
    mine, theirs = _reads(ours, run_ids), _reads(stock, run_ids)
    # Not by `assert mine == theirs`: pytest takes minutes to explain where such answers differ.
    assert [question for question in theirs if mine[question] != theirs[question]] == []
    mine, theirs = _rows(ours._base_dir), _rows(stock._base_dir)
    assert [table for table in mine.keys() | theirs.keys() if mine.get(table) != theirs.get(table)] == []


def test_runs_failures_checks_and_observations_read_the_same_as_in_dagsters_storage(both):
    run_ids = _scenario(both[0])

    _assert_same(both, run_ids)
    ours = both[1]
    assert ours.get_materialized_partitions(AssetKey("returning")) == set(_KEYS[:8])
    assert ours.get_materialized_partitions(AssetKey("logging_asset")) == set(_KEYS[:9])
    failed = ours.get_latest_asset_partition_materialization_attempts_without_materializations(
        AssetKey("logging_asset")
    )
    assert {key: run_id for key, (run_id, _) in failed.items()} == {_KEYS[9]: run_ids[2]}


@pytest.mark.parametrize("size", ["0", "1", "3"])
@pytest.mark.slow
def test_the_size_of_the_batches_changes_nothing(both, monkeypatch, size):
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", size)

    _assert_same(both, _scenario(both[0]))


@pytest.mark.slow
def test_a_deleted_run_reads_the_same(both):
    instance = both[0]
    run_ids = _scenario(instance)

    instance.delete_run(run_ids[1])

    _assert_same(both, run_ids)
    assert both[1].get_records_for_run(run_ids[1]).records == []


@pytest.mark.slow
def test_a_wiped_asset_reads_the_same_and_can_be_made_again(both):
    instance = both[0]
    run_ids = _scenario(instance)

    instance.wipe_assets([AssetKey("logging_asset")])
    assert both[1].get_materialized_partitions(AssetKey("logging_asset")) == set()
    _assert_same(both, run_ids)

    run_ids.append(_run(instance, "logging_job", _KEYS[8], _KEYS[11]).run_id)
    _assert_same(both, run_ids)


@pytest.mark.slow
def test_a_wiped_log_is_empty_and_goes_on(both):
    instance = both[0]
    run_ids = _scenario(instance)

    instance.event_log_storage.wipe()
    assert list(both[1].all_asset_keys()) == []
    _assert_same(both, run_ids)

    _assert_same(both, [*run_ids, _run(instance, "checked_job").run_id])


def test_a_batch_over_several_runs_is_stored_run_by_run(storage):
    storage.store_event_batch([_entry("one", "a"), _entry("two", "b"), _entry("one", "c")])

    assert (_texts(storage, "one"), _texts(storage, "two")) == (["a", "c"], ["b"])


def test_no_events_are_stored_as_nothing(storage):
    storage.store_event_batch([])

    assert storage.get_all_run_ids() == []


def test_a_batch_is_one_transaction_in_each_database(both):
    instance, ours, _ = both
    instance.add_dynamic_partitions("file_hash", _KEYS)
    statements = []
    with ours.index_connection() as connection:
        connection.connection.dbapi_connection.set_trace_callback(statements.append)
    many = {key: {"n": 1} for key in _KEYS}

    @dg.asset(partitions_def=_PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
    def batched(context: dg.AssetExecutionContext) -> None:
        statements.clear()
        log_materializations(context, many, code_version="1")
        assert [s for s in statements if s.startswith(("BEGIN", "COMMIT", "ROLLBACK"))].count("COMMIT") == 1

    result = dg.materialize(
        [batched],
        instance=instance,
        tags={ASSET_PARTITION_RANGE_START_TAG: _KEYS[0], ASSET_PARTITION_RANGE_END_TAG: _KEYS[-1]},
    )
    assert result.success


def test_more_keys_than_sqlite_has_variables_are_added_in_order_and_deleted(both):
    instance, ours, _ = both
    keys = [f"{n:05}" for n in range(40_000)]
    # SQLite's own default; some builds allow more.
    with ours.index_connection() as connection:
        connection.connection.dbapi_connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)

    BatchingSqliteEventLogStorage.add_dynamic_partitions(ours, "many", keys)
    BatchingSqliteEventLogStorage.add_dynamic_partitions(ours, "many", [*keys[:3], "last"])

    assert list(ours.get_dynamic_partitions("many")) == [*keys, "last"]
    ours.delete_dynamic_partitions("many", keys[1:])
    ours.delete_dynamic_partitions("others", ["last"])
    assert list(instance.get_dynamic_partitions("many")) == ["00000", "last"]
    # The limit is real: without slices SQLite refuses them.
    with pytest.raises(Exception, match="too many SQL variables"):
        SqliteEventLogStorage.add_dynamic_partitions(ours, "many", keys)


_WRITER = """
import sys, time
from dagster import AssetKey, AssetMaterialization
from dagster._core.events import DagsterEvent, StepMaterializationData, DagsterEventType
from dagster._core.events.log import EventLogEntry
from resources.event_log import BatchingSqliteEventLogStorage

base_dir, run_id, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
storage = BatchingSqliteEventLogStorage(base_dir)
for batch in range(batches):
    events = []
    for n in range(20):
        materialization = AssetMaterialization("files", partition=f"{run_id}-{batch}-{n}", tags={"dagster/data_version": run_id})
        event = DagsterEvent(
            DagsterEventType.ASSET_MATERIALIZATION.value, "job", step_key="step",
            event_specific_data=StepMaterializationData(materialization),
        )
        events.append(EventLogEntry(None, 20, "", run_id, time.time(), dagster_event=event, step_key="step", job_name="job"))
    storage.store_event_batch(events)
    storage.add_dynamic_partitions("files", [f"{run_id}-{batch}"])
    print(batch, flush=True)
"""


def _writer(storage, run_id: str, batches: int):
    command = (sys.executable, "-c", _WRITER, storage._base_dir, run_id, batches)
    return started(*command, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_write_at_once_lose_nothing(storage):
    with _writer(storage, "one", 25) as one, _writer(storage, "two", 25) as two:
        for writer in (one, two):
            assert writer.communicate(timeout=PATIENCE_S)[0].split()[-1] == "24"
            assert writer.returncode == 0

    expected = {f"{run}-{batch}-{n}" for run in ("one", "two") for batch in range(25) for n in range(20)}
    assert storage.get_materialized_partitions(AssetKey("files")) == expected
    by_partition = storage.get_latest_storage_id_by_partition(AssetKey("files"), DagsterEventType.ASSET_MATERIALIZATION)
    assert len(set(by_partition.values())) == len(expected)
    tags = storage.get_latest_tags_by_partition(
        AssetKey("files"), DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
    )
    assert {partition: tag["dagster/data_version"] for partition, tag in tags.items()} == {
        partition: partition[:3] for partition in expected
    }
    assert len(storage.get_dynamic_partitions("files")) == 50
    for run_id in ("one", "two"):
        partitions = [r.event_log_entry.dagster_event.partition for r in storage.get_records_for_run(run_id).records]
        assert partitions == [f"{run_id}-{batch}-{n}" for batch in range(25) for n in range(20)]


def test_what_was_stored_before_a_kill_is_there_and_whole(storage):
    with _writer(storage, "killed", 100_000) as writer:
        said = [int(writer.stdout.readline()) for _ in range(5)][-1]
        writer.send_signal(signal.SIGKILL)
        said = [said, *map(int, writer.communicate()[0].split())][-1]

    stored = storage.get_materialized_partitions(AssetKey("files"))
    assert {f"killed-{batch}-{n}" for batch in range(said + 1) for n in range(20)} <= stored
    assert len(stored) % 20 == 0
    for path in Path(storage._base_dir).glob("*.db"):
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_databases_are_written_ahead_without_waiting_for_the_disk(storage):
    storage.store_event(_entry("run", "a"))

    for connect in (storage.index_connection, lambda: storage.run_connection("run")):
        with connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_a_log_that_another_process_wiped_and_began_anew_gets_the_next_events(storage):
    storage.store_event(_entry("run", "before"))
    other = SqliteEventLogStorage(storage._base_dir)
    other.wipe()
    assert _texts(other, "run") == []

    storage.store_event(_entry("run", "after"))

    assert _texts(storage, "run") == _texts(other, "run") == ["after"]


def test_a_run_whose_file_another_process_deleted_begins_anew(storage):
    storage.store_event(_entry("run", "before"))
    SqliteEventLogStorage(storage._base_dir).wipe()

    storage.store_event(_entry("run", "after"))

    assert _texts(storage, "run") == ["after"]


def test_only_so_many_databases_of_runs_are_open_at_once_and_all_can_be_read(storage):
    runs = [f"run{n}" for n in range(event_log._MAX_OPEN_SHARDS + 4)]
    for run_id in runs:
        storage.store_event(_entry(run_id, run_id))

    assert len(storage._shards) == event_log._MAX_OPEN_SHARDS
    assert [_texts(storage, run_id) for run_id in runs] == [[run_id] for run_id in runs]


def test_an_error_in_a_transaction_undoes_it_and_leaves_the_connection_usable(storage):
    storage.store_event(_entry("run", "kept"))

    def fail() -> None:
        with storage.run_connection("run") as connection:
            connection.exec_driver_sql("DELETE FROM event_logs")
            raise RuntimeError("half done")

    with pytest.raises(RuntimeError, match="half done"):
        fail()

    assert _texts(storage, "run") == ["kept"]
    storage.store_event(_entry("run", "next"))
    assert _texts(storage, "run") == ["kept", "next"]


def test_an_interrupt_in_the_middle_of_reading_does_not_lock_the_log_for_ever(storage):
    for text in ("a", "b", "c"):
        storage.store_event(_entry("run", text))
    kept = []

    def interrupted() -> None:
        with storage.run_connection("run") as connection:
            query = select(SqlEventLogStorageTable.c.event)
            read = connection.execution_options(stream_results=True).execute(query)
            next(read)
            # Whoever catches an interrupt keeps the frames that it passed, and in them what was half read.
            kept.append(read)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    other = BatchingSqliteEventLogStorage(storage._base_dir)
    other.store_event(_entry("run", "of another process"))
    other.dispose()
    storage.store_event(_entry("run", "next"))

    assert _texts(storage, "run") == ["a", "b", "c", "of another process", "next"]
    assert len(kept) == 1


def test_a_storage_goes_on_after_it_was_disposed_of(storage):
    storage.store_event(_entry("run", "a"))
    storage.dispose()

    assert _texts(storage, "run") == ["a"]


def test_a_forked_child_has_connections_of_its_own(storage):
    storage.store_event(_entry("run", "parent"))
    child = os.fork()
    if child == 0:
        try:
            storage.store_event(_entry("run", "child"))
            storage.dispose()
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    storage.store_event(_entry("run", "parent again"))

    assert _texts(storage, "run") == ["parent", "child", "parent again"]


def test_a_forked_child_that_only_closes_leaves_its_parents_connections_alone(storage):
    storage.store_event(_entry("run", "parent"))
    inherited = list(storage._shards.values())
    storage._shards_pid = -1

    storage.dispose()

    assert list(storage._shards.values()) == inherited
    storage._shards_pid = os.getpid()


def test_without_a_place_for_the_log_the_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME")

    with pytest.raises(SettingsError, match="set the environment variable DAGSTER_HOME"):
        BatchingSqliteEventLogStorage.from_config_value(None, {})


def test_the_log_lies_where_dagsters_own_would_or_where_the_config_says(tmp_path):
    home = BatchingSqliteEventLogStorage.from_config_value(None, {})
    named = BatchingSqliteEventLogStorage.from_config_value(None, {"base_dir": str(tmp_path / "named")})

    assert (home._base_dir, named._base_dir) == (str(tmp_path / "history" / "runs"), str(tmp_path / "named"))
    assert set(BatchingSqliteEventLogStorage.config_type()) == {"base_dir"}


def test_a_log_begun_by_dagsters_own_storage_is_taken_over(tmp_path):
    stock = SqliteEventLogStorage(str(tmp_path / "log"))
    stock.store_event(_entry("run", "stock"))
    ours = BatchingSqliteEventLogStorage(str(tmp_path / "log"))

    ours.store_event_batch([_entry("run", "ours")])

    assert _texts(ours, "run") == _texts(stock, "run") == ["stock", "ours"]
    ours.dispose()


@pytest.fixture
def quick_watch(monkeypatch):
    monkeypatch.setattr(event_watcher, "_POLL_S", 0.02)


@pytest.mark.parametrize("writer_class", [BatchingSqliteEventLogStorage, SqliteEventLogStorage])
def test_a_live_log_gets_every_event_once_in_order_while_its_writer_stays_open(storage, quick_watch, writer_class):
    seen = []
    writer = writer_class(storage._base_dir)
    writer.store_event(_entry("run", "0"))

    storage.watch("run", None, lambda event, cursor: seen.append((event.user_message, cursor)))
    wait_until(lambda: len(seen) == 1, "the events")
    for n in range(1, 6):
        writer.store_event(_entry("run", str(n)))
    wait_until(lambda: len(seen) >= 6, "the events")

    assert [text for text, _ in seen] == ["0", "1", "2", "3", "4", "5"]
    (resumed,) = {cursor for text, cursor in seen if text == "3"}
    later = []
    storage.watch("run", resumed, lambda event, _: later.append(event.user_message))
    wait_until(lambda: len(later) >= 2, "the events")
    assert later == ["4", "5"]
    writer.dispose()


def test_an_ended_watch_is_not_called_again(storage, quick_watch):
    seen = []

    def callback(event, _):
        seen.append(event.user_message)
        storage.end_watch("run", callback)

    storage.store_event_batch([_entry("run", "a"), _entry("run", "b")])
    storage.watch("run", None, callback)
    wait_until(lambda: not any(t.name == "events of run run" for t in threading.enumerate()), "the watch is over")

    assert seen == ["a"]
    storage.end_watch("run", callback)


def test_a_watch_ends_with_its_run(storage, quick_watch):
    storage.store_event_batch([_entry("run", "a"), _entry("run", "b")])
    storage.watch("run", None, lambda *_: DagsterRunStatus.SUCCESS)
    (watcher,) = storage._run_watchers.values()

    watcher.join(timeout=PATIENCE_S)

    assert not watcher.is_alive()


def test_a_watcher_that_fails_on_an_event_gets_the_next_one(storage, quick_watch, caplog):
    seen = []

    def callback(event, _):
        seen.append(event.user_message)
        raise RuntimeError("no")

    storage.store_event_batch([_entry("run", "a"), _entry("run", "b")])
    storage.watch("run", None, callback)
    wait_until(lambda: len(seen) == 2, "the events")

    assert seen == ["a", "b"]
    assert "A watcher of run run failed on an event" in caplog.text


def test_disposing_ends_every_watch(storage, quick_watch):
    for _ in range(3):
        storage.watch("run", None, lambda *_: None)
    watchers = list(storage._run_watchers.values())

    storage.dispose()

    assert not any(watcher.is_alive() for watcher in watchers)


def test_a_watch_may_dispose_of_the_storage(storage, quick_watch):
    storage.store_event(_entry("run", "a"))
    done = threading.Event()

    def callback(*_):
        storage.dispose()
        done.set()

    storage.watch("run", None, callback)

    assert done.wait(PATIENCE_S)


def test_the_stats_of_a_run_with_very_many_materializations_are_those_of_dagsters_storage_with_fewer_of_them(
    both, monkeypatch
):
    run_ids = _scenario(both[0])
    monkeypatch.setattr("resources.event_log._MATERIALIZATIONS_IN_STATS", 3)
    _, ours, stock = both
    bounded = 0
    for run_id in run_ids:
        mine, theirs = ours.get_step_stats_for_run(run_id), stock.get_step_stats_for_run(run_id)
        assert [copy(snapshot, materialization_events=[]) for snapshot in mine] == [
            copy(snapshot, materialization_events=[]) for snapshot in theirs
        ]
        assert [s.materialization_events for s in mine] == [s.materialization_events[:3] for s in theirs]
        bounded += sum(len(snapshot.materialization_events) > 3 for snapshot in theirs)
        (first, *_) = theirs
        assert [s.step_key for s in ours.get_step_stats_for_run(run_id, [first.step_key])] == [first.step_key]
    assert bounded


def test_keys_are_those_of_the_database_whoever_changed_them(tmp_path):
    """Two connections in turns; each remembers its keys, and a third one has none to remember."""
    ours, theirs = (BatchingSqliteEventLogStorage(str(tmp_path / "log")) for _ in range(2))
    steps = [
        (ours, "add_dynamic_partitions", ["a", "b", "c"]),
        (theirs, "add_dynamic_partitions", ["b", "d"]),
        (ours, "delete_dynamic_partitions", ["a", "none"]),
        (ours, "move_dynamic_partitions_to_end", ["b"]),
        (ours, "add_dynamic_partitions", ["a", "c"]),
        (theirs, "delete_dynamic_partition", "d"),
        (ours, "delete_dynamic_partition", "a"),
    ]
    try:
        for storage, change, keys in steps:
            getattr(storage, change)("file_hash", keys)
            fresh = BatchingSqliteEventLogStorage(str(tmp_path / "log"))
            expected = fresh.get_dynamic_partitions("file_hash")
            fresh.dispose()
            for other in (ours, theirs):
                assert other.get_dynamic_partitions("file_hash") == expected
        assert expected == ["c", "b"]
        ours.get_dynamic_partitions("file_hash").append("mine")
        assert ours.get_dynamic_partitions("file_hash") == expected, "the caller has a list of its own"
    finally:
        ours.dispose()
        theirs.dispose()


def test_what_is_materialized_follows_events_and_their_removal(both):
    instance, storage, stock = both
    asset = AssetKey("parsed_chunks")
    assert storage.get_materialized_partitions(asset) == set()
    for keys in (_KEYS[:3], _KEYS[2:5]):
        for key in keys:
            instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))
        assert storage.get_materialized_partitions(asset) == stock.get_materialized_partitions(asset) >= {*keys}
    storage.get_materialized_partitions(asset).clear()
    other = BatchingSqliteEventLogStorage(storage._base_dir)
    assert storage.get_materialized_partitions(asset) == other.get_materialized_partitions(asset) == {*_KEYS[:5]}
    other.wipe_asset(asset)
    other.dispose()
    assert storage.get_materialized_partitions(asset) == set(), "another connection removed them"


def _states(instance, asset):
    """The materialized partitions of an asset, and the failed ones, as Dagster's pages are told them."""
    (found,) = instance.event_log_storage.get_asset_status_cache_values(
        [(asset, _PARTITIONS)], LoadingContextForTest(instance)
    )
    if found is None:
        return set(), set()
    with partition_loading_context(None, instance):
        return tuple(
            set(subset.get_partition_keys())
            for subset in (
                found.deserialize_materialized_partition_subsets(_PARTITIONS),
                found.deserialize_failed_partition_subsets(_PARTITIONS),
            )
        )


def test_answers_about_an_asset_are_those_of_the_database_whoever_changed_it(both, monkeypatch):
    """What the pages of an asset ask for, again and again, is read once from each state of the database."""
    instance, ours, _ = both
    asset = AssetKey("logging_asset")
    kind = DagsterEventType.ASSET_MATERIALIZATION
    other = BatchingSqliteEventLogStorage(ours._base_dir)
    fresh = SqliteEventLogStorage(ours._base_dir)
    read = []
    for name in ("get_asset_records", "get_latest_storage_id_by_partition", "get_asset_status_cache_values"):
        own = getattr(SqliteEventLogStorage, name)
        monkeypatch.setattr(
            SqliteEventLogStorage,
            name,
            lambda self, *asked, own=own, name=name, **named: (
                (read.append(name) if self is ours else None) or own(self, *asked, **named)
            ),
        )

    def states():
        return _states(instance, asset)

    def tell(key):
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))

    steps = [
        lambda: instance.add_dynamic_partitions("file_hash", _KEYS),
        lambda: _run(instance, "logging_job", _KEYS[0], _KEYS[5]),
        lambda: other.delete_dynamic_partition("file_hash", _KEYS[0]),
        lambda: _run(instance, "logging_job", _KEYS[4], _KEYS[9]),
        lambda: tell(_KEYS[9]),
        lambda: ours.delete_dynamic_partition("file_hash", _KEYS[1]),
        lambda: other.add_dynamic_partitions("file_hash", _KEYS[:1]),
        lambda: other.wipe_asset(asset),
        lambda: tell(_KEYS[2]),
    ]
    try:
        for number, step in enumerate(steps):
            step()
            existing = set(fresh.get_dynamic_partitions("file_hash"))
            attempts = fresh.get_latest_asset_partition_materialization_attempts_without_materializations(asset)
            expected = fresh.get_materialized_partitions(asset) & existing, set(attempts) & existing
            assert states() == expected, number
            assert ours.get_asset_records([asset]) == fresh.get_asset_records([asset])
            assert ours.get_latest_storage_id_by_partition(asset, kind) == fresh.get_latest_storage_id_by_partition(
                asset, kind
            )
            # Dagster writes states down that it has computed: asked once more, all is as it was asked.
            turns = []
            for _ in range(3):
                read.clear()
                answers = (
                    ours.get_asset_records([asset]),
                    ours.get_latest_storage_id_by_partition(asset, kind),
                    states(),
                )
                turns.append((answers, list(read)))
            assert turns[0][0] == turns[1][0] == turns[2][0]
            assert turns[2][1] == ([] if answers[0] else ["get_asset_status_cache_values"])
    finally:
        other.dispose()
        fresh.dispose()


def test_a_state_that_may_change_without_an_event_is_not_remembered(both):
    """A run ends in the database of runs, after its last event."""
    instance, _, _ = both
    asset = AssetKey("logging_asset")
    instance.add_dynamic_partitions("file_hash", _KEYS)
    run_id = _run(instance, "logging_job", _KEYS[0], _KEYS[5]).run_id

    for status, expected in ((DagsterRunStatus.STARTED, set()), (DagsterRunStatus.FAILURE, {_KEYS[5]})):
        with instance.run_storage.connect() as connection:
            run = dg.serialize_value(instance.get_run_by_id(run_id).with_status(status))
            connection.exec_driver_sql(
                "UPDATE runs SET status = ?, run_body = ? WHERE run_id = ?", (status.value, run, run_id)
            )
        for _ in range(3):
            assert _states(instance, asset)[1] == expected
