"""Schedules: daily maintenance, and retries of transient failures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import dagster as dg

from code_index.core.errors import CodeIndexError
from code_index.core.quoting import printable
from indexing_assets.automation.reruns import RERUN_OP, RerunConfig, keys_to_rerun
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IndexNames
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.job_names import MAINTAIN_JOB
from resources.dagster_internals import UnresolvedAssetJobDefinition

MAINTENANCE_SCHEDULE = "maintenance_schedule"
RETRY_SCHEDULE = "retry_transient_failures_schedule"

# At night; the machine's own time zone is not known to Dagster, so this is UTC.
MAINTENANCE_CRON: Final = "17 3 * * *"
MAINTENANCE_TIMEZONE: Final = "UTC"
_RETRY_CRON = "*/5 * * * *"


@dataclass(frozen=True, slots=True)
class ScheduleTimes:
    """The time of maintenance, and whether schedules run before anybody starts or stops them."""

    maintenance_cron: str = MAINTENANCE_CRON
    timezone: str = MAINTENANCE_TIMEZONE
    running: bool = False


def build_schedules(
    names: IndexNames,
    jobs: Mapping[str, dg.JobDefinition | UnresolvedAssetJobDefinition],
    rerun_job: dg.JobDefinition,
    times: ScheduleTimes,
) -> list[dg.ScheduleDefinition]:
    """The schedules of an index.

    Args:
        names: names of the index.
        jobs: its jobs by their names without that of the index.
        rerun_job: reruns failed partitions.
        times: when maintenance runs, and whether both schedules run from the start.
    """
    status = dg.DefaultScheduleStatus.RUNNING if times.running else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=names.prefixed(RETRY_SCHEDULE),
        job=rerun_job,
        cron_schedule=_RETRY_CRON,
        default_status=status,
        description="Retries transient failures: after 5 minutes, then 20, 80, up to a day.",
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
    )
    def retry_transient_failures_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        try:
            due = keys_to_rerun(
                context.instance, index_of(context, names), embedder_of(context, names), names, transient_only=True
            )
        except (CodeIndexError, OSError) as error:
            return dg.SkipReason(printable(f"{type(error).__name__}: {error}"))
        if not any(due.values()):
            return dg.SkipReason("Nothing that failed is due for another attempt.")
        config = RerunConfig(transient_only=True)
        return dg.RunRequest(run_config=dg.RunConfig(ops={names.prefixed(RERUN_OP): config}))

    maintenance = dg.ScheduleDefinition(
        name=names.prefixed(MAINTENANCE_SCHEDULE),
        job=jobs[MAINTAIN_JOB],
        cron_schedule=times.maintenance_cron,
        execution_timezone=times.timezone,
        default_status=status,
        description="Every night: scan, refresh the search indexes, free disk space, check, report.",
    )
    return [maintenance, retry_transient_failures_schedule]
