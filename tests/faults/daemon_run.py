"""What Dagster's daemon does in one round: ask the sensors, record the runs they want, and run them a little later.

The pause is that of a run's process that starts: the run is on record, and commands may come in between.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from code_index.index.folder import resolve_index_folder
from indexing_assets.automation.changes_look import WatchTimes
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.sensors import PENDING_CHUNKS_SENSOR, REPO_CHANGES_SENSOR, build_sensors
from indexing_assets.definitions import build_defs
from indexing_assets.runs.index_names import UNNAMED
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

_TIMES = WatchTimes(watch_s=0.0, quiet_s=0.05, patience_s=0.5)
_START_S = 2.0


def main(root: Path, *, start_s: float | None = None) -> int:
    """Ask both sensors in turn and run what they ask for; returns 0 unless a run failed as a whole."""
    folder = resolve_index_folder(root)
    os.environ.update(folder.environment())
    resources = {
        "index": IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path)),
        "embedder": EmbedderResource(),
    }
    definitions = build_defs(resources, indexes=[UNNAMED])
    sensors = {
        sensor.name: sensor
        for sensor in build_sensors(UNNAMED, build_asset_jobs(UNNAMED), dg.DefaultSensorStatus.STOPPED, _TIMES)
    }
    failed = False
    with dg.DagsterInstance.get() as instance:
        for name in (REPO_CHANGES_SENSOR, PENDING_CHUNKS_SENSOR):
            with dg.build_sensor_context(
                instance=instance, resources=resources, repository_def=definitions.get_repository_def()
            ) as context:
                tick = sensors[name].evaluate_tick(context)
            print(name, tick.skip_message or "", flush=True)
            for request in tick.run_requests or []:
                job = definitions.resolve_job_def(request.job_name or "")
                run = instance.create_run_for_job(job, tags=dict(request.tags), run_config=request.run_config)
                time.sleep(random.uniform(0, _START_S) if start_s is None else start_s)
                result = execute_run(InMemoryJob(job), run, instance)
                print(request.job_name, run.run_id, "succeeded" if result.success else _failure(result), flush=True)
                failed |= not result.success and not _partial(result)
    return int(failed)


def _step_failures(result: dg.JobExecutionResult) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.is_step_failure]


def _partial(result: dg.JobExecutionResult) -> bool:
    """Whether single partitions failed, as files do that change between scan and parse."""
    failures = _step_failures(result)
    return bool(failures) and all(event.step_failure_data.user_failure_data is not None for event in failures)


def _failure(result: dg.JobExecutionResult) -> str:
    return "; ".join(
        (data.user_failure_data.description if data.user_failure_data is not None else str(data.error)) or "failed"
        for data in (event.step_failure_data for event in _step_failures(result))
    ) or "failed before its first step: " + "; ".join(
        str(event.message) for event in result.all_events if event.is_failure
    )
