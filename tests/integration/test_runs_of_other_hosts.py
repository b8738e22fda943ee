"""Runs of an index that several hosts work on: a lock at the server says whether one is alive, whatever its host.

Needs PostgreSQL's server programs (`apt-get install postgresql`); a server of its own is started for the tests.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.types import ExecuteRunArgs
from dagster_shared.serdes import pack_value
from sqlalchemy.exc import DBAPIError

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.index import server_locks
from code_index.index.folder import IndexFolder
from code_index.index.server_locks import POSTGRES_VARIABLE, LockServer
from code_index.index.settings import Settings
from indexing_assets.runs import live_runs
from indexing_assets.runs.index_names import PARSED_CHUNKS, UNNAMED
from indexing_assets.runs.job_names import RUN_JOB_VARIABLE, SCAN_JOB
from indexing_assets.runs.live_runs import (
    HOST_TAG,
    LOCKED_TAG,
    RUN_TAG,
    begin_run,
    close_dead_runs,
    dead_runs,
    stop_if_ended,
    tag_process,
)
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.pools import EMBED_POOL, PARSE_POOL, prepare_pools
from tests.postgres_server import running_server

pytest.importorskip("psycopg2")  # of dagster-postgres, which may come out later than the Dagster of `make newest`
pytestmark = pytest.mark.slow


@dg.job(name=SCAN_JOB)
def _job() -> None:
    """Nothing."""


@dg.job(name="another_" + SCAN_JOB)
def _other_job() -> None:
    """Nothing, of another index."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server() as server:
        yield server.url.format("postgres")


@pytest.fixture
def place(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LockServer]:
    monkeypatch.setenv(POSTGRES_VARIABLE, url)
    monkeypatch.setattr(server_locks, "_RESTORED_S", 0)
    yield LockServer.named("s3://team/index")
    for lock in live_runs._locked.values():
        lock.free()
    live_runs._locked.clear()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _begun(
    instance: dg.DagsterInstance, place: Path | LockServer, tags: Mapping[str, str] | None = None
) -> dg.DagsterRun:
    """A run that started and whose process is this one."""
    run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTED, tags=dict(tags or {}))
    tag_process(_context(instance, run), place)
    return _record(instance, run)


def _started(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.report_dagster_event(event, run.run_id)


def _context(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.AssetExecutionContext:
    return cast("dg.AssetExecutionContext", SimpleNamespace(instance=instance, run=run))


def _record(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def _of_another_host(instance: dg.DagsterInstance, run: dg.DagsterRun) -> server_locks.ServerLock:
    """The lock of a run, as one that a process on another host holds."""
    instance.add_run_tags(run.run_id, {HOST_TAG: "another host"})
    return live_runs._locked.pop(run.run_id)


def test_a_run_is_dead_when_nobody_holds_its_lock_whatever_its_host(
    instance: dg.DagsterInstance, place: LockServer
) -> None:
    run = _begun(instance, place)
    assert run.tags[RUN_TAG] == run.run_id
    lock = _of_another_host(instance, run)
    assert dead_runs(instance) == []
    lock.free()
    assert [dead.run_id for dead in dead_runs(instance)] == [run.run_id]
    assert close_dead_runs(instance) == [run.run_id]
    assert _record(instance, run).status is dg.DagsterRunStatus.FAILURE
    assert close_dead_runs(instance) == []


def test_a_run_of_an_index_of_this_machine_has_no_lock(instance: dg.DagsterInstance, place: LockServer) -> None:
    run = _begun(instance, Path("locks"))
    assert LOCKED_TAG not in run.tags
    assert not live_runs._locked


def test_a_run_that_is_executed_again_is_not_taken_for_its_parent(
    instance: dg.DagsterInstance, place: LockServer
) -> None:
    parent = _begun(instance, place)
    _of_another_host(instance, parent).free()
    instance.report_run_failed(parent, "killed")
    again = instance.create_run_for_job(
        _job,
        status=dg.DagsterRunStatus.STARTED,
        tags=_record(instance, parent).tags,
        parent_run_id=parent.run_id,
        root_run_id=parent.run_id,
    )
    assert dead_runs(instance) == []
    tag_process(_context(instance, again), place)
    assert dead_runs(instance) == []
    _of_another_host(instance, again).free()
    assert [dead.run_id for dead in dead_runs(instance)] == [again.run_id]


def test_a_run_that_a_launcher_resumes_on_another_host_takes_its_lock_again(
    instance: dg.DagsterInstance, place: LockServer
) -> None:
    run = _begun(instance, place)
    _of_another_host(instance, run).free()
    tag_process(_context(instance, run), place)
    assert _record(instance, run).tags[HOST_TAG] != "another host"
    assert dead_runs(instance) == []


def test_two_hosts_are_never_at_work_on_one_run(
    instance: dg.DagsterInstance, place: LockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_runs, "_OLD_SESSION_S", 0.1)
    run = _begun(instance, place)
    lock = _of_another_host(instance, run)
    with pytest.raises(StoreError, match=f"Another process is at work on run {run.run_id}"):
        tag_process(_context(instance, run), place)
    lock.free()


def test_a_worker_lets_go_of_a_run_that_ended_when_it_begins_the_next(
    instance: dg.DagsterInstance, place: LockServer
) -> None:
    first = _begun(instance, place)
    second = _begun(instance, place)
    assert live_runs._locked.keys() == {first.run_id, second.run_id}, "a run within a run"
    instance.report_run_failed(second, "ended")
    third = _begun(instance, place)
    assert live_runs._locked.keys() == {first.run_id, third.run_id}


def test_a_run_that_was_closed_while_its_host_was_cut_off_stops(
    instance: dg.DagsterInstance, place: LockServer
) -> None:
    run = _begun(instance, place)
    stop_if_ended(_context(instance, run))
    instance.report_run_failed(run, "nobody held its lock")
    with pytest.raises(StoreError, match=f"Run {run.run_id} was closed"):
        stop_if_ended(_context(instance, run))
    _of_another_host(instance, run).free()
    with pytest.raises(StoreError, match="was closed"):
        tag_process(_context(instance, run), place)


def _index(folder: Path, tables_at: Bucket | None) -> OpenIndex:
    return cast("OpenIndex", SimpleNamespace(folder=IndexFolder(folder, folder, tables_at=tables_at), names=UNNAMED))


def test_a_run_whose_host_died_before_it_started_is_dead_when_the_launcher_says_so(
    instance: dg.DagsterInstance, place: LockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Launcher:
        supports_check_run_worker_health = True
        said: WorkerStatus | Exception = WorkerStatus.RUNNING

        def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
            assert run.run_id == starting.run_id
            if isinstance(self.said, Exception):
                raise self.said
            return CheckRunHealthResult(self.said)

    launcher = Launcher()
    monkeypatch.setattr(dg.DagsterInstance, "run_launcher", launcher)
    at_a_store = _index(tmp_path, Bucket("team", "index"))
    starting = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
    of_another_index = instance.create_run_for_job(_other_job, status=dg.DagsterRunStatus.STARTING)
    for said in (WorkerStatus.RUNNING, WorkerStatus.UNKNOWN, OSError("the launcher's server is away")):
        launcher.said = said
        assert close_dead_runs(instance, at_a_store) == []
    launcher.said = WorkerStatus.FAILED
    assert dead_runs(instance) == dead_runs(instance, _index(tmp_path, None)) == []
    assert close_dead_runs(instance, at_a_store) == [starting.run_id]
    assert _record(instance, starting).status is dg.DagsterRunStatus.FAILURE
    assert _record(instance, of_another_index).status is dg.DagsterRunStatus.STARTING
    taken = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
    begin_run(instance, taken.run_id)
    assert close_dead_runs(instance, at_a_store) == []


def test_a_run_whose_host_died_before_it_took_its_lock_is_dead_after_a_while(
    instance: dg.DagsterInstance, place: LockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_store = _index(tmp_path, Bucket("team", "index"))
    run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
    _started(instance, run)
    assert dead_runs(instance, at_a_store) == []
    monkeypatch.setattr(live_runs, "_LOCKED_WITHIN_S", -1.0)
    assert [dead.run_id for dead in dead_runs(instance, at_a_store)] == [run.run_id]
    assert dead_runs(instance, _index(tmp_path, None)) == []
    checks = instance.add_run(
        dg.DagsterRun(
            job_name="__ASSET_JOB",
            status=dg.DagsterRunStatus.STARTED,
            asset_check_selection=frozenset({dg.AssetCheckKey(UNNAMED.asset_key(PARSED_CHUNKS), "counted")}),
        )
    )
    _started(instance, checks)
    assert checks.run_id not in {dead.run_id for dead in dead_runs(instance, at_a_store)}
    assert dead_runs(instance) == []
    tag_process(_context(instance, run), place)
    assert dead_runs(instance, at_a_store) == []


def test_a_run_that_ended_meanwhile_is_not_closed(
    instance: dg.DagsterInstance, place: LockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Any = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.SUCCESS)
    monkeypatch.setattr(live_runs, "dead_runs", lambda *_: [run])
    assert close_dead_runs(instance) == []
    assert _record(instance, run).status is dg.DagsterRunStatus.SUCCESS


def test_of_two_sensors_that_add_a_limit_at_once_none_fails(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = {
        "concurrency": {"pools": {"granularity": "run", "default_limit": 4}},
        "event_log_storage": {
            "module": "resources.postgres_event_log",
            "class": "BatchingPostgresEventLogStorage",
            "config": {"postgres_url": url},
        },
    }
    with dg.instance_for_test(overrides=overrides) as instance:
        storage = instance.event_log_storage
        prepare_pools(instance, Settings())
        before = storage.get_pool_limits()
        assert {limit.name for limit in before} == {PARSE_POOL, EMBED_POOL}
        looks: Iterator[list[Any]] = iter([[]])  # as of a moment before the other one added them
        monkeypatch.setattr(storage, "get_pool_limits", lambda: next(looks, before))
        prepare_pools(instance, Settings())
        looks = iter([[], []])  # no other one was there: something else is wrong
        with pytest.raises(DBAPIError):
            prepare_pools(instance, Settings())


def test_a_run_that_is_slow_to_start_lives_as_long_as_its_worker_holds_its_lock(
    instance: dg.DagsterInstance, place: LockServer
) -> None:
    run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
    assert dead_runs(instance) == [], "it waits in the launcher's queue"
    begin_run(instance, run.run_id)
    assert dead_runs(instance) == []
    lock = _of_another_host(instance, run)
    assert dead_runs(instance) == [], "another host loads its definitions"
    lock.free()
    assert close_dead_runs(instance) == [run.run_id]


def test_a_worker_of_celery_takes_the_lock_of_a_run_before_it_executes_it(
    place: LockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = pytest.importorskip("celery.signals")
    monkeypatch.setenv("CODE_INDEX_REDIS_URL", "redis://queue:6379/0")
    monkeypatch.setenv(RUN_JOB_VARIABLE, "")
    monkeypatch.setattr(signals.task_prerun, "receivers", [])
    settings = runpy.run_path(str(Path(__file__).parents[2] / "deploy/celery/dagster_celery_config.py"))
    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
        origin = JobPythonOrigin(_job.name, RepositoryPythonOrigin("python", ModuleCodePointer("module", "defs")))
        packed = pack_value(ExecuteRunArgs(origin, run.run_id, instance.get_ref()))
        ((_, answer),) = signals.task_prerun.send(settings["_begin"], kwargs={"execute_job_args_packed": packed})
        assert answer is None
        assert os.environ[RUN_JOB_VARIABLE] == _job.name
        assert run.run_id in live_runs._locked
        assert _record(instance, run).tags[LOCKED_TAG] == "postgresql"
        assert signals.task_prerun.send(None, kwargs={"another": "task"}) == [(settings["_begin"], None)]
