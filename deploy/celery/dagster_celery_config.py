"""Settings of the Celery workers, beside dagster.yaml; dagster-celery finds them by the name of this module."""

import os
from typing import Any

import dagster as dg
from celery.signals import task_prerun
from dagster._serdes import unpack_value

from indexing_assets.runs.job_names import RUN_JOB_VARIABLE
from indexing_assets.runs.live_runs import begin_run

broker_url = result_backend = os.environ["CODE_INDEX_REDIS_URL"]
# Each run is a process of its own, whose end frees the run's lock.
worker_max_tasks_per_child = 1
# A worker takes a run when it can begin it: one that it keeps for later would be lost with its host, and starts late.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# A run whose result is gone counts as lost.
result_expires = 7 * 86_400
broker_connection_retry_on_startup = True
worker_hijack_root_logger = False


@task_prerun.connect
def _begin(kwargs: dict[str, Any], **_: Any) -> None:
    """Take the run's lock before its definitions are loaded, and name its job, so that they are those of one index."""
    if packed := kwargs.get("execute_job_args_packed"):
        given = unpack_value(packed)
        os.environ[RUN_JOB_VARIABLE] = given.job_origin.job_name
        with dg.DagsterInstance.get() as instance:
            begin_run(instance, given.run_id)
