"""Dagster's launcher of runs through Celery, which also tells of a run that the queue lost.

Needs the extra `celery`; named in `dagster.yaml` under `run_launcher`, with the configuration of `dagster-celery`.

A broker hands a run to a worker and forgets it before the worker has it: one whose host dies in that second is lost, and Celery
calls it pending for ever. Rejected: acknowledging late, where a long run is given to a second worker while the first one has it.
"""

from __future__ import annotations

import time
from typing import Any, Final

import dagster as dg

from resources.dagster_internals import (
    DAGSTER_CELERY_QUEUE_TAG,
    DAGSTER_CELERY_TASK_ID_TAG,
    CheckRunHealthResult,
    WorkerStatus,
)
from resources.dagster_internals import CeleryRunLauncher as _CeleryRunLauncher
from resources.record_storage import PRIVATE_TAGS

_BEGINS_WITHIN_S: Final = 30.0
"""Time in which a worker that took a run begins it."""
_UNQUEUED_TAG: Final = f"{PRIVATE_TAGS}unqueued"  # when the run was first seen in no queue, seconds since 1970


class CeleryRunLauncher(_CeleryRunLauncher):
    """`dagster-celery`'s launcher: the same configuration, tasks and queues."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> Any:
        """See `RunLauncher`; also fails a run that is in no queue, and that no worker begins within 30 s of the first look."""
        if DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "It is being launched.")
        found = super().check_run_worker_health(run)
        if found.status is not WorkerStatus.UNKNOWN or run.status is not dg.DagsterRunStatus.STARTING:
            return found
        if self._waiting(run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue)):
            return found
        if _UNQUEUED_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {_UNQUEUED_TAG: str(time.time())})
            return found
        if time.time() - float(run.tags[_UNQUEUED_TAG]) < _BEGINS_WITHIN_S:
            return found
        return CheckRunHealthResult(WorkerStatus.FAILED, "No queue has the run, and no worker began it.")

    def _waiting(self, queue: str) -> int:
        """Count what waits in a queue."""
        with self.celery.connection_or_acquire() as connection:
            try:
                return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
            except connection.channel_errors:  # Redis has no empty lists
                return 0
