"""The storages of `resources.postgres_storages` are Dagster's own, with fewer sessions.

Needs PostgreSQL's server programs (`apt-get install postgresql`); a server of its own is started for the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
import yaml

from tests.postgres_server import PostgresServer, running_server

pytest.importorskip("dagster_postgres")  # it may come out later than the Dagster of `make newest`
pytestmark = [pytest.mark.filterwarnings("ignore::dagster.BetaWarning"), pytest.mark.slow]

_DEPLOYED = Path(__file__).resolve().parents[2] / "deploy/celery/dagster.yaml"
_MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION


@dg.job
def _job() -> None:
    """Nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """A server that has all of an instance's storages, as a fleet's `dagster.yaml` names them."""
    named = {name: part for name, part in yaml.safe_load(_DEPLOYED.read_text("utf-8")).items() if "storage" in name}
    assert len(named) == 3
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(named | {"telemetry": {"enabled": False}}), "utf-8")
    with running_server() as server:
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        monkeypatch.setenv("CODE_INDEX_POSTGRES_URL", server.url.format("postgres"))
        yield server


@pytest.fixture
def connected() -> Iterator[list[object]]:
    """The sessions that this process began."""
    began: list[object] = []

    def listen(connection: object, _record: object) -> None:
        began.append(connection)

    db.event.listen(db.Engine, "connect", listen)
    yield began
    db.event.remove(db.Engine, "connect", listen)


def _look() -> int:
    """What a tick of a sensor does: an instance of its own, and a question to each storage."""
    with dg.DagsterInstance.get() as instance:
        assert instance.all_instigator_state() == []
        assert list(instance.get_dynamic_partitions("file_hash")) == []
        return instance.get_runs_count()


def test_the_instances_of_a_process_begin_no_session_after_the_first(
    server: PostgresServer, connected: list[object]
) -> None:
    with dg.DagsterInstance.get() as instance:
        assert _job.execute_in_process(instance=instance).success
    assert _look() == 1
    connected.clear()
    assert [_look() for _ in range(3)] == [1, 1, 1]
    assert connected == []


def test_sessions_that_ended_with_the_server_are_replaced(server: PostgresServer, connected: list[object]) -> None:
    assert _look() == 0
    connected.clear()
    server.stop()
    server.start()
    assert [_look() for _ in range(3)] == [0, 0, 0]
    assert 1 <= len(connected) <= 2


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute"])
def test_what_reads_or_writes_the_same_twice_outlives_its_session(server: PostgresServer, moment: str) -> None:
    """The server ends the session of the first statement of each call, before the statement or before its answer."""
    administration = db.create_engine(server.url.format("postgres"), isolation_level="AUTOCOMMIT")
    armed: list[bool] = []

    def end(connection: db.Connection, _cursor: object, statement: str, *_: object) -> None:
        if armed and not statement.startswith("SELECT 1"):
            armed.clear()
            backend = connection.connection.dbapi_connection.get_backend_pid()  # type: ignore[union-attr]
            with administration.connect() as other:
                assert other.execute(db.text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": backend}).scalar()

    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
        engine = instance.run_storage._engine  # type: ignore[attr-defined]
        started = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
        db.event.listen(engine, moment, end)
        try:
            for call in (
                partial(instance.get_run_by_id, run.run_id),
                partial(instance.add_run_tags, run.run_id, {"tag": "value"}),
                partial(instance.run_storage.handle_run_event, run.run_id, started, datetime.now(UTC)),
                partial(instance.add_dynamic_partitions, "file_hash", ["key"]),
                partial(instance.get_dynamic_partitions, "file_hash"),
                partial(instance.get_latest_storage_id_by_partition, dg.AssetKey("asset"), _MATERIALIZATION),
                partial(instance.all_instigator_state),
            ):
                armed.append(True)
                call()
                assert not armed
        finally:
            db.event.remove(engine, moment, end)
            administration.dispose()
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert (found.tags["tag"], found.status) == ("value", dg.DagsterRunStatus.STARTED)
        assert list(instance.get_dynamic_partitions("file_hash")) == ["key"]
