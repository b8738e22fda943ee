"""What is relied on in the parts of Dagster that are not public (`resources/dagster_internals.py`), one claim a test.

Each claim names the modules that rely on it. Where behaviour is held by other tests already, against Dagster's own storages
(tests/contract) or through a run (tests/integration), only names and signatures are claimed here, so that a new Dagster that
changed them is told in seconds, and by name.
"""

import importlib.util
import inspect
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from indexing_assets.runs.materializations import log_materializations
from resources import dagster_internals
from resources.event_log import BatchingSqliteEventLogStorage
from resources.record_storage import SharedSqliteRunStorage, SharedSqliteScheduleStorage

_needs_postgres = pytest.mark.skipif(
    importlib.util.find_spec("dagster_postgres") is None, reason="dagster-postgres is not installed"
)
_LATE = [
    pytest.param(name, marks=[_needs_postgres] if module.startswith("dagster_postgres") else [])
    for name, module in sorted(dagster_internals._MODULES.items())
]


@pytest.fixture
def event_log(tmp_path):
    """Dagster's own event log, not ours."""
    storage = dagster_internals.SqliteEventLogStorage(str(tmp_path / "runs"))
    yield storage
    storage.dispose()


def _parameters(function):
    return list(inspect.signature(function).parameters)


def _event(kind=dg.DagsterEventType.ASSET_MATERIALIZATION, run_id=None, step_key=None, data=None, **options):
    """An entry as `runs/materializations.py` makes one."""
    made = dg.DagsterEvent(
        event_type_value=kind.value,
        event_specific_data=data
        or dagster_internals.StepMaterializationData(dg.AssetMaterialization("a", partition="p", tags={"tag": "b"})),
        job_name=dagster_internals.RUNLESS_JOB_NAME,
        step_key=step_key,
        **options,
    )
    return dg.EventLogEntry(
        error_info=None,
        level=logging.INFO,
        user_message="",
        run_id=run_id or dagster_internals.RUNLESS_RUN_ID,
        timestamp=time.time(),
        job_name=dagster_internals.RUNLESS_JOB_NAME,
        step_key=step_key,
        dagster_event=made,
    )


@pytest.mark.parametrize("name", _LATE)
def test_every_name_that_is_loaded_late_is_there(name):
    assert getattr(dagster_internals, name) is not None


def test_a_name_that_is_not_handed_on_is_told():
    with pytest.raises(AttributeError, match="no attribute 'NoSuchPart'"):
        _ = dagster_internals.NoSuchPart


def test_a_bad_instance_file_raises_a_check_error(tmp_path, monkeypatch):
    """indexing_assets/cli/status.py."""
    (tmp_path / "dagster.yaml").write_text("run_storage: 7\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))

    with pytest.raises((dagster_internals.CheckError, dg.DagsterError)):
        dg.DagsterInstance.get()
    assert issubclass(dagster_internals.CheckError, Exception)


def test_a_resource_keeps_the_values_that_it_was_made_with_environment_variables_as_names():
    """resources/bound_values.py."""

    class Place(dg.ConfigurableResource):
        folder: str
        depth: int = 3

    values = dagster_internals.given_values(Place(folder=dg.EnvVar("A_FOLDER")))

    assert values == {"folder": {"env": "A_FOLDER"}}


def test_a_job_of_assets_is_of_a_class_of_its_own():
    """indexing_assets/automation: jobs, schedules and sensors take it by this type."""
    assert isinstance(dg.define_asset_job("a_job", "*"), dagster_internals.UnresolvedAssetJobDefinition)


def test_tags_of_runs_and_events_are_spelled_as_in_stored_records():
    """indexing_assets/runs: partitions.py and materializations.py; what older records hold must be found again."""
    assert dagster_internals.PARTITION_NAME_TAG == "dagster/partition"
    assert dagster_internals.ASSET_PARTITION_RANGE_START_TAG == "dagster/asset_partition_range_start"
    assert dagster_internals.ASSET_PARTITION_RANGE_END_TAG == "dagster/asset_partition_range_end"
    assert dagster_internals.CODE_VERSION_TAG == "dagster/code_version"
    assert dagster_internals.DATA_VERSION_TAG == "dagster/data_version"
    parent = dg.AssetKey(["a", "parent"])
    assert dagster_internals.get_input_data_version_tag(parent) == "dagster/input_data_version/a/parent"
    assert dagster_internals.get_input_event_pointer_tag(parent) == "dagster/input_event_pointer/a/parent"
    assert dagster_internals.NULL_EVENT_POINTER == "NULL"


def test_an_asset_without_a_data_version_gets_one_from_its_code_version_and_inputs():
    """indexing_assets/operations/migration/steps.py."""

    @dg.asset(code_version="1")
    def alone() -> None:
        return None

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([alone], instance=instance).success
        event = instance.get_latest_materialization_event(alone.key)

    expected = dagster_internals.compute_logical_data_version("1", {}).value
    assert event.asset_materialization.tags[dagster_internals.DATA_VERSION_TAG] == expected


def test_an_error_in_an_event_begins_with_its_class_and_has_its_cause():
    """indexing_assets/operations/pipeline.py."""

    @dg.op
    def fails() -> None:
        try:
            {}["the cause"]
        except KeyError as error:
            raise ValueError("the error") from error

    @dg.job
    def failing() -> None:
        fails()

    result = failing.execute_in_process(raise_on_error=False)
    (failure,) = (event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE)
    error = failure.step_failure_data.error

    assert isinstance(error, dagster_internals.SerializableErrorInfo)
    messages = []
    while error is not None:
        messages.append(error.message.strip())
        error = error.cause
    assert messages[-2:] == ["ValueError: the error", "KeyError: 'the cause'"]


def test_materializations_of_a_batch_wait_for_its_end(monkeypatch):
    """indexing_assets/runs/materializations.py: the events of a batch reach the storage in one call."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    batches = []

    @dg.asset
    def made(context: dg.AssetExecutionContext) -> None:
        store = context.instance.event_log_storage.store_event_batch
        monkeypatch.setattr(
            context.instance.event_log_storage,
            "store_event_batch",
            lambda events: (batches.append([e.dagster_event.partition for e in events]), store(events)),
        )
        batch = dagster_internals.generate_event_batch_id()
        for name in ("x", "y", "z"):
            dg.DagsterEvent.asset_materialization(
                context.get_step_execution_context(),
                dg.AssetMaterialization(context.asset_key, partition=name),
                dagster_internals.DagsterEventBatchMetadata(batch, is_end=name == "z"),
            )

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([made], instance=instance).success

    assert ["x", "y", "z"] in batches


def test_a_materialization_is_recorded_as_the_log_of_its_step_would_record_it():
    """indexing_assets/runs/materializations.py: it goes to the instance, not through the log."""

    @dg.asset(key=["of", "two"])
    def made(context: dg.AssetExecutionContext) -> None:
        log_materializations(context, {"x": {"rows": 3}}, code_version="1", data_versions={"x": "v"})
        tags = {dagster_internals.CODE_VERSION_TAG: "1", dagster_internals.DATA_VERSION_TAG: "v"}
        dg.DagsterEvent.asset_materialization(
            context.get_step_execution_context(),
            dg.AssetMaterialization(context.asset_key, partition="x", metadata={"rows": 3}, tags=tags),
        )

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([made], instance=instance)
        entries = [entry for entry in instance.all_logs(run.run_id) if entry.dagster_event.partition == "x"]

    ours, logged = (entry._replace(timestamp=0.0) for entry in entries)
    # Nothing reads the log's tags in an event; in those of 60,000 files they take 20 MB.
    assert ours == logged._replace(dagster_event=logged.get_dagster_event()._replace(logging_tags={}))


def test_an_event_that_no_run_made_is_the_latest_of_its_asset(event_log):
    """indexing_assets/runs/materializations.py, for migration."""
    event_log.store_event(_event())

    with event_log.index_connection() as connection:
        columns = dagster_internals.SqlEventLogStorageTable.c
        rows = connection.execute(
            dagster_internals.SqlEventLogStorageTable.select().with_only_columns(columns.run_id, columns.partition)
        ).all()
    assert dagster_internals.RUNLESS_RUN_ID == ""
    assert [tuple(row) for row in rows] == [("", "p")]
    assert event_log.get_latest_materialization_events([dg.AssetKey("a")])[dg.AssetKey("a")] is not None


def test_a_backfill_by_ranges_can_be_asked_for():
    """indexing_assets/automation/reruns.py."""
    partitions = dg.DynamicPartitionsDefinition(name="names")

    @dg.asset(partitions_def=partitions)
    def named() -> None:
        return None

    graph = dg.Definitions([named]).get_repository_def().asset_graph
    ids = {dagster_internals.make_new_backfill_id() for _ in range(20)}
    selector = dagster_internals.PartitionsByAssetSelector(
        asset_key=named.key,
        partitions=dagster_internals.PartitionsSelector(
            ranges=[dagster_internals.PartitionRangeSelector(start="b", end="c")]
        ),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("names", ["a", "b", "c"])
        with dagster_internals.partition_loading_context(dynamic_partitions_store=instance):
            backfill = dagster_internals.PartitionBackfill.from_partitions_by_assets(
                backfill_id=next(iter(ids)),
                asset_graph=graph,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                partitions_by_assets=[selector],
                title="a title",
                description=None,
                run_config=None,
            )
            instance.add_backfill(backfill)
            (found,) = instance.get_backfills()
            subset = found.get_asset_backfill_data(graph).target_subset.get_partitions_subset(named.key)
            assert set(subset.get_partition_keys()) == {"b", "c"}
    assert isinstance(graph, dagster_internals.BaseAssetGraph)
    assert len(ids) == 20


def test_the_sets_of_event_kinds_hold_what_the_index_of_an_event_log_repeats():
    """resources/event_log.py."""
    kinds = dg.DagsterEventType
    assert {kinds.ASSET_MATERIALIZATION, kinds.ASSET_MATERIALIZATION_PLANNED} <= set(dagster_internals.ASSET_EVENTS)
    assert {kinds.ASSET_CHECK_EVALUATION, kinds.ASSET_CHECK_EVALUATION_PLANNED} <= set(
        dagster_internals.ASSET_CHECK_EVENTS
    )
    assert dagster_internals.EVENT_TYPE_TO_PIPELINE_RUN_STATUS[kinds.RUN_SUCCESS] is dg.DagsterRunStatus.SUCCESS


def test_statistics_of_steps_come_from_events_in_order():
    """resources/event_log.py, get_step_stats_for_run."""
    kinds = dg.DagsterEventType
    assert {kinds.STEP_START, kinds.STEP_SUCCESS, kinds.STEP_FAILURE} <= set(dagster_internals.STEP_STATS_EVENT_TYPES)

    @dg.asset
    def made() -> None:
        return None

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([made], instance=instance)
        entries = instance.all_logs(result.run_id)
    texts = [dg.serialize_value(entry) for entry in entries]
    again = dagster_internals.deserialize_values(texts, dg.EventLogEntry)
    (stats,) = dagster_internals.build_run_step_stats_from_events(result.run_id, again)

    assert isinstance(stats, dagster_internals.RunStepKeyStatsSnapshot)
    assert (stats.step_key, stats.status.value) == ("made", "SUCCESS")


_TABLES = {
    "SqlEventLogStorageTable": "id run_id event dagster_event_type step_key asset_key partition",
    "AssetEventTagsTable": "event_id",
    "DynamicPartitionsTable": "partitions_def_name partition",
    "AssetCheckExecutionsTable": "id run_id asset_key check_name evaluation_event_storage_id",
}


@pytest.mark.parametrize("table", _TABLES)
def test_tables_of_an_event_log_have_the_columns_that_are_read(table):
    """indexing_assets/upkeep/expired_records.py, resources: event_log, dynamic_partition_keys, postgres_event_log."""
    assert set(_TABLES[table].split()) <= set(getattr(dagster_internals, table).c.keys())


_OVERRIDDEN_OR_USED = {
    "add_dynamic_partitions": ["self", "partitions_def_name", "partition_keys"],
    "delete_events": ["self", "run_id"],
    "dispose": ["self"],
    "end_watch": ["self", "run_id", "handler"],
    "free_concurrency_slots_for_run": ["self", "run_id"],
    "get_asset_keys_for_run": ["self", "run_id", "of_type"],
    "get_asset_records": ["self", "asset_keys"],
    "get_asset_status_cache_values": ["self", "partitions_defs_by_key", "context"],
    "get_existing_dynamic_partitions": ["self", "partitions_def_name", "partition_keys"],
    "get_latest_asset_partition_materialization_attempts_without_materializations": [
        "self",
        "asset_key",
        "after_storage_id",
    ],
    "get_latest_storage_id_by_partition": ["self", "asset_key", "event_type", "partitions"],
    "get_records_for_run": ["self", "run_id", "cursor", "of_type", "limit", "ascending"],
    "get_step_stats_for_run": ["self", "run_id", "step_keys"],
    "has_table": ["self", "table_name"],
    "index_connection": ["self"],
    "index_transaction": ["self"],
    "path_for_shard": ["self", "run_id"],
    "conn_string_for_shard": ["self", "shard_name"],
    "run_connection": ["self", "run_id"],
    "store_asset_check_event": ["self", "event", "event_id"],
    "store_event_batch": ["self", "events"],
    "watch": ["self", "run_id", "cursor", "callback"],
    "wipe": ["self"],
    "_check_partitions_table": ["self"],
    "_connect": ["self", "shard"],
    "_event_to_row": ["self", "event"],
    "_initdb": ["self", "engine"],
    "_store_asset_event": ["self", "conn", "event", "event_id"],
    "_store_asset_event_tags": ["self", "conn", "events", "event_ids"],
}


@pytest.mark.parametrize("method", _OVERRIDDEN_OR_USED)
def test_methods_of_the_event_log_are_called_as_ours_are(method):
    """resources: event_log.py, dynamic_partition_keys.py, event_watcher.py, postgres_event_log.py, remembered_keys.py."""
    expected = _OVERRIDDEN_OR_USED[method]

    assert _parameters(getattr(dagster_internals.SqliteEventLogStorage, method))[: len(expected)] == expected


def test_the_event_log_keeps_a_lock_a_folder_and_the_shards_that_it_made(event_log, tmp_path):
    """resources/event_log.py."""
    assert event_log._base_dir == str(tmp_path / "runs")
    assert event_log._db_lock.acquire(blocking=False)
    event_log._db_lock.release()
    event_log._initialized_dbs.add("a run")
    event_log._initialized_dbs.discard("a run")
    assert Path(event_log.path_for_shard(dagster_internals.INDEX_SHARD_NAME)).is_file()
    assert event_log.path_for_shard("a run") == str(tmp_path / "runs" / "a run.db")
    assert dagster_internals.create_db_conn_string(str(tmp_path), "x") == f"sqlite:///{tmp_path}/x.db"
    assert isinstance(event_log.supports_global_concurrency_limits, bool)


def test_every_read_and_write_of_the_event_log_goes_through_one_method(event_log, monkeypatch):
    """resources/event_log.py: overriding `_connect` is enough for lasting connections."""
    shards = []
    connect = event_log._connect
    monkeypatch.setattr(event_log, "_connect", lambda shard: (shards.append(shard), connect(shard))[1])

    with event_log.index_connection():
        pass
    with event_log.run_connection("a run"):
        pass

    assert shards == [dagster_internals.INDEX_SHARD_NAME, "a run"]


def test_a_row_of_an_event_has_what_the_table_has(event_log):
    """resources/event_log.py, store_event_batch."""
    row = event_log._event_to_row(_event())

    assert set(row) <= set(dagster_internals.SqlEventLogStorageTable.c.keys())
    assert (row["run_id"], row["partition"]) == (dagster_internals.RUNLESS_RUN_ID, "p")


def test_records_of_a_run_come_after_a_cursor(event_log):
    """resources/event_watcher.py."""
    event_log.store_event(_event(run_id="a run"))
    found = event_log.get_records_for_run("a run", None)
    (record,) = found.records
    cursor = str(dagster_internals.EventLogCursor.from_storage_id(record.storage_id))

    assert isinstance(event_log, dagster_internals.EventLogStorage)
    assert record.event_log_entry.run_id == "a run"
    assert not event_log.get_records_for_run("a run", cursor).records
    assert not event_log.get_records_for_run("a run", found.cursor).records


@pytest.mark.parametrize(
    ("stock", "ours", "database"),
    [
        ("SqliteRunStorage", SharedSqliteRunStorage, "runs.db"),
        ("SqliteScheduleStorage", SharedSqliteScheduleStorage, "schedules.db"),
    ],
)
def test_storages_in_a_file_are_made_in_a_folder_and_connect_by_one_method(stock, ours, database, tmp_path):
    """resources/record_storage.py."""
    kind = getattr(dagster_internals, stock)
    storage = kind.from_local(str(tmp_path))

    assert (tmp_path / database).is_file()
    assert storage._conn_string == dagster_internals.create_db_conn_string(str(tmp_path), Path(database).stem)
    assert _parameters(kind.from_local) == ["base_dir", "inst_data"]
    assert inspect.isfunction(kind.connect)
    assert issubclass(ours, kind)
    assert type(ours.from_local(str(tmp_path))) is ours


def test_a_storage_is_made_from_its_config_and_its_place_in_the_instance_file(tmp_path):
    """resources: event_log.py, record_storage.py."""
    data = dagster_internals.ConfigurableClassData("resources.event_log", "BatchingSqliteEventLogStorage", "{}")
    with dg.DagsterInstance.ephemeral():
        storage = BatchingSqliteEventLogStorage.from_config_value(data, {"base_dir": str(tmp_path)})
    try:
        assert storage.inst_data == data
    finally:
        storage.dispose()


@_needs_postgres
def test_the_event_log_on_postgresql_is_called_as_ours_is():
    """resources/postgres_event_log.py."""
    kind = dagster_internals.PostgresEventLogStorage

    assert _parameters(kind.__init__)[1:5] == [
        "postgres_url",
        "should_autocreate_tables",
        "inst_data",
        "token_provider",
    ]
    assert _parameters(kind.prepare_insert_event_batch) == ["self", "events"]
    assert _parameters(kind.store_event_batch) == ["self", "events"]
    config = {"postgres_url": "postgresql+psycopg2://me@/records"}
    assert dagster_internals.pg_url_from_config(config) == config["postgres_url"]
    assert dagster_internals.get_token_provider_from_config(config) is None


def test_the_web_server_and_the_code_server_start_as_the_web_interface_starts_them():
    """indexing_assets/operations/web_interface.py; tests/browser and tests/integration/test_own_assets.py run them."""
    manager = dagster_internals.ProxyServerManager
    assert _parameters(manager.__init__)[1:4] == ["instance", "workspace_load_target", "code_server_log_level"]
    assert _parameters(manager.get_code_server_specs) == ["self"]
    assert hasattr(manager, "__enter__")
    context = _parameters(dagster_internals.WorkspaceProcessContext.__init__)
    assert context[1:3] == ["instance", "workspace_load_target"]
    assert "version" in context
    assert "live_data_poll_rate" in _parameters(dagster_internals.create_app_from_workspace_process_context)
    assert {"formatter", "log_level"} <= set(_parameters(dagster_internals.configure_loggers))
    target = dagster_internals.ModuleTarget("a.module", attribute=None, working_directory="/", location_name=None)
    assert target.module_name == "a.module"
    assert dagster_internals.WorkspaceFileTarget(["a file"]).paths == ["a file"]
    assert _parameters(dg.DagsterInstance.optimize_for_webserver)[1:] == [
        "statement_timeout",
        "pool_recycle",
        "max_overflow",
    ]


def test_the_daemon_takes_the_options_that_the_web_interface_gives():
    """indexing_assets/operations/web_interface.py."""
    command = [sys.executable, "-m", dagster_internals.DAEMON_MODULE, "run", "--help"]
    # In a process of its own: the options are those of the module's command line.
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"}
    )

    assert finished.returncode == 0, finished.stderr
    # Dagster gives options to itself, so that they stand in no help.
    from dagster._daemon.cli import run_command

    taken = {option for parameter in run_command.params for option in parameter.opts}
    assert {"--log-level", "--instance-ref", "--workspace", "--shutdown-pipe"} <= taken


def test_a_child_ends_when_it_is_told_so_through_a_pipe():
    """indexing_assets/operations/web_interface.py."""
    until, end = dagster_internals.get_ipc_shutdown_pipe()
    child = dagster_internals.open_ipc_subprocess(
        [sys.executable, "-c", f"import os; print(os.read({until}, 1) != b'')"],
        pass_fds=[until],
        stdin=subprocess.DEVNULL,
    )
    os.close(until)
    dagster_internals.send_ipc_shutdown_message(end)

    assert child.wait() == 0


def test_tags_that_begin_as_ours_are_hidden():
    """resources/record_storage.py."""
    from dagster._core.storage.tags import TagType, get_tag_type

    assert get_tag_type(f"{dagster_internals.HIDDEN_TAG_PREFIX}code_index_run") is TagType.HIDDEN


def test_the_folder_of_a_command_without_a_home_begins_as_dagster_spells_it():
    """resources/own_instance.py, by a copy: the module takes long to load."""
    from dagster._cli import utils

    assert dagster_internals.TMP_DAGSTER_HOME_PREFIX == utils.TMP_DAGSTER_HOME_PREFIX


def test_an_instance_is_made_of_the_parts_that_the_instance_file_leaves_out(tmp_path):
    """resources/own_instance.py puts three of them, and the storage made of them, in the place of Dagster's own."""
    parts = dagster_internals.InstanceRef.config_defaults(str(tmp_path))

    assert {"run_storage", "event_log_storage", "schedule_storage", "storage"} <= set(parts)
    assert isinstance(parts["storage"], dagster_internals.ConfigurableClassData)


def test_a_storage_is_made_of_three(tmp_path):
    """resources/own_instance.py."""
    parts = dagster_internals.InstanceRef.config_defaults(str(tmp_path))
    three = {
        name: {"module_name": part.module_name, "class_name": part.class_name, "config_yaml": part.config_yaml}
        for name in ("run_storage", "event_log_storage", "schedule_storage")
        if (part := parts[name])
    }
    data = dagster_internals.ConfigurableClassData(*dagster_internals.COMPOSITE_STORAGE, json.dumps(three))
    storage = data.rehydrate(object)
    try:
        assert isinstance(storage.run_storage, dagster_internals.SqliteRunStorage)
        assert isinstance(storage.event_log_storage, dagster_internals.SqliteEventLogStorage)
        assert isinstance(storage.schedule_storage, dagster_internals.SqliteScheduleStorage)
    finally:
        storage.event_log_storage.dispose()


def test_the_process_of_a_step_is_told_from_the_runs_own(tmp_path):
    """indexing_assets/runs/live_runs.py."""
    program = tmp_path / "steps.py"
    program.write_text(
        "import sys\n"
        "import dagster as dg\n"
        "from resources.dagster_internals import in_process_of_step\n"
        "@dg.op\n"
        "def ask():\n"
        "    return in_process_of_step()\n"
        "@dg.job(executor_def=dg.multiprocess_executor)\n"
        "def apart():\n"
        "    ask()\n"
        "@dg.job(executor_def=dg.in_process_executor)\n"
        "def within():\n"
        "    ask()\n"
        "if __name__ == '__main__':\n"
        "    with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:\n"
        "        for job in (apart, within):\n"
        "            with dg.execute_job(dg.reconstructable(job), instance=instance) as result:\n"
        "                print(result.output_for_node('ask'))\n"
    )
    (tmp_path / "home").mkdir()
    finished = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(dagster_internals.__file__).parents[1])},
    )

    assert finished.stdout.split() == ["True", "False"], finished.stderr
