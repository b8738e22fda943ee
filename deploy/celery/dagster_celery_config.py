"""Settings of the Celery workers, beside dagster.yaml; dagster-celery finds them by the name of this module."""

import os
from typing import Any

from celery.signals import task_prerun
from dagster._serdes import unpack_value

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
def name_job(kwargs: dict[str, Any], **_: object) -> None:
    """Name the run's job as other launchers do: the process then loads only the index that the job is of."""
    (packed,) = kwargs.values()
    os.environ["DAGSTER_RUN_JOB_NAME"] = unpack_value(packed).job_origin.job_name
