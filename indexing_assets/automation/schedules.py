"""Schedules: daily maintenance, and retries of transient failures."""

from collections.abc import Mapping

import dagster as dg

from code_index.core.errors import CodeIndexError
from code_index.core.quoting import printable
from indexing_assets.automation.reruns import RERUN_OP, RerunConfig, keys_to_rerun
from indexing_assets.runs.index_names import IndexNames
from indexing_assets.runs.job_names import MAINTAIN_JOB
from resources.dagster_internals import UnresolvedAssetJobDefinition
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

MAINTENANCE_SCHEDULE = "maintenance_schedule"
RETRY_SCHEDULE = "retry_transient_failures_schedule"

# At night; the machine's own time zone is not known to Dagster, so this is UTC.
_MAINTENANCE_CRON = "17 3 * * *"
_RETRY_CRON = "*/5 * * * *"


def build_schedules(
    names: IndexNames,
    jobs: Mapping[str, UnresolvedAssetJobDefinition],
    rerun_job: dg.JobDefinition,
    default_status: dg.DefaultScheduleStatus,
) -> list[dg.ScheduleDefinition]:
    """The schedules of an index.

    Args:
        names: names of the index.
        jobs: its jobs by their names without that of the index.
        rerun_job: reruns failed partitions.
        default_status: whether they run before anybody starts or stops them.
    """

    @dg.schedule(
        name=names.prefixed(RETRY_SCHEDULE),
        job=rerun_job,
        cron_schedule=_RETRY_CRON,
        default_status=default_status,
        description="Retries transient failures: after 5 minutes, then 20, 80, up to a day.",
    )
    def retry_transient_failures_schedule(
        context: dg.ScheduleEvaluationContext, index: IndexResource, embedder: EmbedderResource
    ) -> dg.RunRequest | dg.SkipReason:
        try:
            due = keys_to_rerun(context.instance, index, embedder, names, transient_only=True)
        except (CodeIndexError, OSError) as error:
            return dg.SkipReason(printable(f"{type(error).__name__}: {error}"))
        if not any(due.values()):
            return dg.SkipReason("Nothing that failed is due for another attempt.")
        config = RerunConfig(transient_only=True)
        return dg.RunRequest(run_config=dg.RunConfig(ops={names.prefixed(RERUN_OP): config}))

    maintenance = dg.ScheduleDefinition(
        name=names.prefixed(MAINTENANCE_SCHEDULE),
        job=jobs[MAINTAIN_JOB],
        cron_schedule=_MAINTENANCE_CRON,
        default_status=default_status,
        description="Every night (UTC): scan, refresh the search indexes, free disk space, check, report.",
    )
    return [maintenance, retry_transient_failures_schedule]
