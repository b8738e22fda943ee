"""`resources.celery_launcher` tells of a run that no queue has and no worker began; of all else what Dagster's launcher tells."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

pytest.importorskip("dagster_celery")  # it may come out later than the Dagster of `make newest`
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from resources import celery_launcher
from resources.celery_launcher import CeleryRunLauncher

_QUEUE = "of this test"


@dg.job
def _job() -> None:
    """Nothing."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def launcher(instance: dg.DagsterInstance) -> CeleryRunLauncher:
    """A launcher whose broker is in this process."""
    launcher = CeleryRunLauncher(_QUEUE, broker="memory://", backend="cache+memory://")
    launcher.register_instance(instance)
    return launcher


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the launcher."""
    now = [1_000.0]
    monkeypatch.setattr(celery_launcher, "time", SimpleNamespace(time=lambda: now[0]))
    return now


def _sent(instance: dg.DagsterInstance, launcher: CeleryRunLauncher, queue: str = _QUEUE) -> dg.DagsterRun:
    """A run whose message is in a queue."""
    task = launcher.celery.send_task("execute_job", queue=queue)
    tags = {DAGSTER_CELERY_TASK_ID_TAG: task.task_id}
    if queue != _QUEUE:
        tags[DAGSTER_CELERY_QUEUE_TAG] = queue
    return instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING, tags=tags)


def _take(launcher: CeleryRunLauncher, queue: str = _QUEUE) -> Any:
    """Take a message as a worker does."""
    with launcher.celery.connection_or_acquire() as connection:
        return connection.default_channel.basic_get(queue, no_ack=True)


def _health(instance: dg.DagsterInstance, launcher: CeleryRunLauncher, run: dg.DagsterRun) -> WorkerStatus:
    now = instance.get_run_by_id(run.run_id)
    assert now is not None
    return launcher.check_run_worker_health(now).status


@pytest.mark.parametrize("queue", [_QUEUE, "with a device"])
def test_a_run_that_no_queue_has_and_nobody_begins_has_failed_after_a_while(
    instance: dg.DagsterInstance, launcher: CeleryRunLauncher, clock: list[float], queue: str
) -> None:
    run = _sent(instance, launcher, queue)
    for _ in range(3):  # however long it waits
        assert _health(instance, launcher, run) is WorkerStatus.UNKNOWN
        clock[0] += 1_000
    assert _take(launcher, queue) is not None
    assert _health(instance, launcher, run) is WorkerStatus.UNKNOWN
    clock[0] += 29
    assert _health(instance, launcher, run) is WorkerStatus.UNKNOWN
    clock[0] += 2
    assert _health(instance, launcher, run) is WorkerStatus.FAILED


def test_a_run_that_a_worker_began_or_ended_is_what_celery_says(
    instance: dg.DagsterInstance, launcher: CeleryRunLauncher, clock: list[float]
) -> None:
    run = _sent(instance, launcher)
    assert _take(launcher) is not None
    assert _health(instance, launcher, run) is WorkerStatus.UNKNOWN
    clock[0] += 100
    for said, expected in (("STARTED", WorkerStatus.RUNNING), ("SUCCESS", WorkerStatus.SUCCESS)):
        launcher.celery.backend.store_result(run.tags[DAGSTER_CELERY_TASK_ID_TAG], None, said)
        assert _health(instance, launcher, run) is expected


def test_a_run_that_is_being_launched_has_no_task_yet(
    instance: dg.DagsterInstance, launcher: CeleryRunLauncher, clock: list[float]
) -> None:
    run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
    clock[0] += 1_000
    assert _health(instance, launcher, run) is WorkerStatus.UNKNOWN
