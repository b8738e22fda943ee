"""The definitions of one index, and its resources: what a deployment and a component both are made of.

Belongs here: assembling. Does not belong here: which indexes there are (`indexing_assets.definitions`,
`indexing_assets.component`). No key or name is Dagster's own or a word that a project may use itself, so that the
definitions of a named index merge with any others; neither an executor nor an `io_manager` comes with them.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from code_index.index.folder import IndexFolder
from indexing_assets.assets.chunk_vectors import build_chunk_vectors
from indexing_assets.assets.index_report import build_index_report
from indexing_assets.assets.language_figures import build_language_figures
from indexing_assets.assets.library_vectors import build_library_vectors
from indexing_assets.assets.parsed_chunks import build_parsed_chunks
from indexing_assets.assets.search_indexes import build_search_indexes
from indexing_assets.assets.source_files import build_source_files
from indexing_assets.automation.changes_look import WatchTimes
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.reruns import build_partition_jobs
from indexing_assets.automation.schedules import ScheduleTimes, build_schedules
from indexing_assets.automation.sensors import build_sensors
from indexing_assets.checks.asset_checks import build_index_checks
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IO_MANAGER, IndexNames
from indexing_assets.runs.partitions import accepting_beta_parameters
from resources.bound_values import bound
from resources.dagster_version import warn_of_an_untested_dagster


def build_index_defs(
    names: IndexNames,
    folder: IndexFolder,
    resources: Mapping[str, Any],
    *,
    watch: bool,
    schedule_times: ScheduleTimes,
    round_of: int = 1,
) -> dg.Definitions:
    """The definitions of an index; warns once where Dagster is newer than any that was tested.

    Args:
        names: names of the index.
        folder: its folder, which need not exist.
        resources: by `index`, `embedder` and `lancedb_io_manager`; bound under the index's names for them.
        watch: whether sensors run before anybody starts or stops them.
        schedule_times: when the schedules run.
        round_of: how many indexes' sensors are asked in a round, with those of this one.

    Raises:
        SettingsError: a setting cannot be used.
    """
    warn_of_an_untested_dagster()
    settings = folder.settings()
    several_hosts = settings.embedding_hosts > 1
    asset_jobs = build_asset_jobs(names, several_hosts=several_hosts)
    partitions_job, rerun_job = build_partition_jobs(names)
    with accepting_beta_parameters():
        assets = [
            build_source_files(names, folder),
            build_parsed_chunks(names, folder, settings),
            build_chunk_vectors(names, folder, settings),
            build_search_indexes(names),
            build_language_figures(names),
            build_index_report(names),
            *([build_library_vectors(names, settings)] if several_hosts else []),
        ]
    checks = build_index_checks(names)
    bound_resources = {
        names.prefixed(key): bound(resources[key]) for key in (INDEX_RESOURCE, EMBEDDER_RESOURCE, IO_MANAGER)
    }
    # Each job is made of its own index here. A project would make it of all assets and all resources that it has: for 300
    # indexes 2,400 jobs with 900 resources each, which takes minutes and gigabytes. It would do so too for a job that has no
    # `io_manager`, which none of ours uses.
    own = dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*asset_jobs.values(), partitions_job, rerun_job],
        resources={**bound_resources, "io_manager": bound(resources.get("io_manager", dg.FilesystemIOManager()))},
    )
    jobs = {job: own.resolve_job_def(definition.name) for job, definition in asset_jobs.items()}
    partitions_job, rerun_job = (own.resolve_job_def(job.name) for job in (partitions_job, rerun_job))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs.values(), partitions_job, rerun_job],
        sensors=build_sensors(
            names,
            jobs,
            dg.DefaultSensorStatus.RUNNING if watch else dg.DefaultSensorStatus.STOPPED,
            WatchTimes.of_round(round_of),
        ),
        schedules=build_schedules(names, jobs, rerun_job, schedule_times),
        resources=bound_resources,
    )
