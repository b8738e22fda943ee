"""`BatchingPostgresEventLogStorage` stores what Dagster's own PostgreSQL storage stores, in fewer statements.

Needs PostgreSQL's server programs (`apt-get install postgresql`); a server of its own is started for the tests.
"""

import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
from dagster import AssetKey, DagsterEventType, EventRecordsFilter
from dagster._core.storage.event_log.schema import AssetKeyTable, DynamicPartitionsTable, SqlEventLogStorageTable
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from code_index.tables import IndexStore
from indexing_assets.runs.partitions import as_one_range

pytest.importorskip("dagster_postgres")  # it may come out later than the Dagster of `make newest`
from dagster_postgres.event_log import PostgresEventLogStorage

from resources import postgres_sessions
from resources.postgres_event_log import BatchingPostgresEventLogStorage
from resources.postgres_sessions import wait_for_sessions
from tests.postgres_server import running_server
from tests.waiting import PATIENCE_S

warnings.filterwarnings("ignore", category=dg.BetaWarning)
pytestmark = [pytest.mark.filterwarnings("ignore::dagster.BetaWarning"), pytest.mark.slow]

_KEYS = [f"{n:012x}:src/f{n}.py" for n in range(40)]
_PARTITIONS = dg.DynamicPartitionsDefinition(name="file_hash")
_ASSET = AssetKey("recorded")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of the databases of a server that is there for these tests alone."""
    with running_server() as server:
        yield server.url


@pytest.fixture
def storages(server: str) -> Iterator[dict[str, PostgresEventLogStorage]]:
    """Ours and Dagster's own, each on an empty database."""
    administration = db.create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    opened: dict[str, PostgresEventLogStorage] = {}
    with administration.connect() as connection:
        for name, kind in (("ours", BatchingPostgresEventLogStorage), ("stock", PostgresEventLogStorage)):
            connection.execute(db.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(db.text(f"CREATE DATABASE {name}"))
            opened[name] = kind(server.format(name))
    yield opened
    for storage in opened.values():
        storage.dispose()
    administration.dispose()


@dg.asset(
    partitions_def=_PARTITIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=[dg.AssetCheckSpec("counted", asset="recorded")],
)
def recorded(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
    counted = dg.AssetCheckResult(check_name="counted", passed=True)
    yield dg.MaterializeResult(metadata={"count": len(context.partition_keys)}, check_results=[counted])


def run_over(storage: PostgresEventLogStorage, keys: list[str]) -> None:
    """A run over a range of partitions, on an instance whose event log is this storage."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance._event_storage = storage
        storage.register_instance(instance)
        instance.add_dynamic_partitions("file_hash", keys)
        tags = {ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}
        assert dg.materialize([recorded], instance=instance, tags=tags).success


def stored(storage: PostgresEventLogStorage) -> dict[str, object]:
    """What was stored, without what each run has of its own."""
    with storage.index_connection() as connection:
        columns = SqlEventLogStorageTable.c
        events = connection.execute(
            db.select(columns.dagster_event_type, columns.step_key, columns.asset_key, columns.partition).order_by(
                columns.id
            )
        ).fetchall()
        assets = connection.execute(db.select(AssetKeyTable.c.asset_key)).fetchall()
        keys = connection.execute(db.select(DynamicPartitionsTable.c.partition).order_by(DynamicPartitionsTable.c.id))
        return {"events": sorted(map(repr, events)), "assets": assets, "keys": [key for (key,) in keys]}


def test_a_run_over_many_partitions_leaves_the_same_rows(storages: dict[str, PostgresEventLogStorage]) -> None:
    for storage in storages.values():
        run_over(storage, _KEYS)
    ours, stock = stored(storages["ours"]), stored(storages["stock"])
    assert ours == stock
    for storage in storages.values():
        planned = storage.get_event_records(
            EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset_key=_ASSET)
        )
        assert sorted(record.partition_key or "" for record in planned) == _KEYS
        assert set(storage.get_materialized_partitions(_ASSET)) == set(_KEYS)
        assert storage.get_latest_planned_materialization_info(_ASSET) is not None


def test_planned_events_of_a_batch_are_one_transaction(
    storages: dict[str, PostgresEventLogStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    statements: dict[str, int] = {}
    for name, storage in storages.items():
        seen = []
        db.event.listen(storage._engine, "before_cursor_execute", lambda *args, seen=seen: seen.append(args[2]))
        run_over(storage, _KEYS)
        statements[name] = sum("INSERT INTO event_logs" in text for text in seen)
    assert statements["ours"] < statements["stock"] - len(_KEYS) // 2, statements
    assert stored(storages["ours"]) == stored(storages["stock"])


def test_keys_by_the_thousand_are_added_moved_and_deleted(storages: dict[str, PostgresEventLogStorage]) -> None:
    storage = storages["ours"]
    keys = [f"{n:012x}:src/f{n}.py" for n in range(45_000)]
    storage.add_dynamic_partitions("file_hash", keys)
    storage.add_dynamic_partitions("file_hash", keys[:3])
    storage.add_dynamic_partitions("file_hash", [])
    assert list(storage.get_dynamic_partitions("file_hash")) == keys
    with dg.DagsterInstance.ephemeral() as instance:
        instance._event_storage = storage
        storage.register_instance(instance)
        assert as_one_range(instance, "file_hash", [keys[5], keys[9]]) == [keys[5], keys[9]]
    assert list(storage.get_dynamic_partitions("file_hash"))[-2:] == [keys[5], keys[9]]
    storage.delete_dynamic_partitions("file_hash", keys[1:])
    assert list(storage.get_dynamic_partitions("file_hash")) == keys[:1]


def test_dagster_yaml_can_name_it(
    server: str, tmp_path: Path, storages: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "event_log_storage:\n"
        "  module: resources.postgres_event_log\n"
        "  class: BatchingPostgresEventLogStorage\n"
        f"  config:\n    postgres_url: {server.format('ours')}\n",
        "utf-8",
    )
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, BatchingPostgresEventLogStorage)
        assert instance.get_dynamic_partitions("file_hash") == []


def test_a_repository_is_indexed_by_dagsters_own_commands_with_all_records_on_postgresql(
    server: str, tmp_path: Path, storages: object, small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = f"  config:\n    postgres_url: {server.format('ours')}\n"
    (tmp_path / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        f"event_log_storage:\n  module: resources.postgres_event_log\n  class: BatchingPostgresEventLogStorage\n{config}"
        f"run_storage:\n  module: resources.postgres_storages\n  class: PooledPostgresRunStorage\n{config}"
        f"schedule_storage:\n  module: resources.postgres_storages\n  class: PooledPostgresScheduleStorage\n{config}",
        "utf-8",
    )
    index_dir = tmp_path / "index"
    for name, value in {
        "DAGSTER_HOME": tmp_path,
        "DAGSTER_EVENT_BATCH_SIZE": 1000,
        "CODE_INDEX_REPOSITORY": small_repository,
        "CODE_INDEX_DIR": index_dir,
        "CODE_INDEX_MODEL": "deterministic",
    }.items():
        monkeypatch.setenv(name, str(value))

    def materialize(asset: str, *options: str) -> None:
        command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "indexing_assets.definitions"]
        done = subprocess.run([*command, "--select", asset, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3_000:]

    materialize("source_files")
    with dg.DagsterInstance.get() as instance:
        for asset, definition in (("parsed_chunks", "file_hash"), ("chunk_vectors", "embedding_batch")):
            keys = list(instance.get_dynamic_partitions(definition))
            assert keys
            materialize(asset, "--partition-range", f"{keys[0]}...{keys[-1]}")
            assert set(instance.get_materialized_partitions(AssetKey(asset))) == set(keys)
    store = IndexStore(index_dir / "tables")
    assert store.chunks.count() == store.vectors.count() > 0


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute"])
def test_an_event_whose_session_ends_is_stored_once(
    server: str, storages: dict[str, PostgresEventLogStorage], moment: str
) -> None:
    """A server that is restarted ends every session: before an event is written, or before the answer to it arrives."""
    administration = db.create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    ended: list[str] = []

    def end(connection: db.Connection, _cursor: object, statement: str, *_: object) -> None:
        kind = statement.partition(" (")[0]
        if kind in {"INSERT INTO event_logs", "INSERT INTO asset_keys"} and ended.count(kind) < 1:
            ended.append(kind)
            backend = connection.connection.dbapi_connection.get_backend_pid()  # type: ignore[union-attr]
            with administration.connect() as other:
                assert other.execute(db.text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": backend}).scalar()

    db.event.listen(storages["ours"]._engine, moment, end)
    for storage in storages.values():
        run_over(storage, _KEYS[:3])
    administration.dispose()
    assert ended == ["INSERT INTO event_logs", "INSERT INTO asset_keys"]
    assert stored(storages["ours"]) == stored(storages["stock"])


def test_a_refusal_of_the_server_is_not_repeated(storages: dict[str, PostgresEventLogStorage]) -> None:
    storage, tries = storages["ours"], []

    def refused() -> None:
        tries.append(1)
        with storage.index_connection() as connection:
            connection.execute(db.text("SELECT nothing"))

    with pytest.raises(db.exc.ProgrammingError, match="nothing"):
        storage._stored([], refused)
    assert len(tries) == 1


def test_a_run_waits_for_a_server_that_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_sessions, "_EACH_WITHIN_S", PATIENCE_S)
    refused = threading.Event()
    monkeypatch.setattr(postgres_sessions.time, "sleep", lambda _: refused.set())
    with running_server() as server, ThreadPoolExecutor(1) as threads:
        storage = BatchingPostgresEventLogStorage(server.url.format("postgres"))
        server.stop()
        wait_for_sessions()
        found = threads.submit(storage.get_dynamic_partitions, "file_hash")
        assert refused.wait(PATIENCE_S)
        server.start()
        assert list(found.result()) == []
        storage.dispose()
