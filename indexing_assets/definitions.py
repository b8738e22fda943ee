"""The definitions that Dagster loads: assets, checks, jobs, sensors, schedules and resources.

Nothing imports this but Dagster and the pipeline. Loading needs no repository, model, GPU or network.
"""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from code_index.index.deployment import deployed_indexes
from code_index.index.folder import WATCH_VARIABLE
from indexing_assets.assets.chunk_vectors import build_chunk_vectors
from indexing_assets.assets.index_report import build_index_report
from indexing_assets.assets.language_figures import build_language_figures
from indexing_assets.assets.parsed_chunks import build_parsed_chunks
from indexing_assets.assets.search_indexes import build_search_indexes
from indexing_assets.assets.source_files import build_source_files
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.reruns import build_partition_jobs
from indexing_assets.automation.schedules import build_schedules
from indexing_assets.automation.sensors import build_sensors
from indexing_assets.checks.asset_checks import build_index_checks
from indexing_assets.runs.index_names import UNNAMED, IndexNames
from indexing_assets.runs.partitions import accepting_beta_parameters
from resources.bound_values import bound
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from resources.lancedb_io_manager import LanceDBIOManager


def build_defs(
    overrides: Mapping[str, Any] | None = None, *, indexes: list[IndexNames] | None = None
) -> dg.Definitions:
    """The definitions of all indexes of the deployment.

    Args:
        overrides: resources in place of the usual ones (`index`, `embedder`, `lancedb_io_manager`, and `io_manager`,
            for assets that name none).
        indexes: the indexes; by default those of the deployment file, or a single one without a name.

    Raises:
        SettingsError: the deployment file or the settings of an index cannot be used.
    """
    resources: dict[str, Any] = {"index": IndexResource(), "embedder": EmbedderResource(), **(overrides or {})}
    index = resources["index"]
    resources.setdefault(
        "lancedb_io_manager", LanceDBIOManager(repository_root=index.repository_root, index_dir=index.index_dir)
    )
    # Dagster's own, which it would give itself: its folder of pickled values is then not bound.
    resources.setdefault("io_manager", dg.FilesystemIOManager())
    if indexes is None:
        indexes = [IndexNames(name) for name in deployed_indexes()] or [UNNAMED]
    assets: list[dg.AssetsDefinition] = []
    asset_checks: list[dg.AssetChecksDefinition] = []
    jobs: list[Any] = []
    sensors: list[dg.SensorDefinition] = []
    schedules: list[dg.ScheduleDefinition] = []
    watch = os.environ.get(WATCH_VARIABLE, "0") not in {"", "0"}
    sensor_status = dg.DefaultSensorStatus.RUNNING if watch else dg.DefaultSensorStatus.STOPPED
    schedule_status = dg.DefaultScheduleStatus.RUNNING if watch else dg.DefaultScheduleStatus.STOPPED
    for names in indexes:
        folder = index.folder(names.index)
        settings = folder.settings()
        with accepting_beta_parameters():
            assets += [
                build_source_files(names, folder),
                build_parsed_chunks(names, folder, settings),
                build_chunk_vectors(names, folder, settings),
                build_search_indexes(names),
                build_language_figures(names),
                build_index_report(names),
            ]
        asset_checks += build_index_checks(names)
        asset_jobs = build_asset_jobs(names)
        partitions_job, rerun_job = build_partition_jobs(names)
        jobs += [*asset_jobs.values(), partitions_job, rerun_job]
        sensors += build_sensors(names, asset_jobs, sensor_status)
        schedules += build_schedules(names, asset_jobs, rerun_job, schedule_status)
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks,
        jobs=jobs,
        sensors=sensors,
        schedules=schedules,
        resources={key: bound(resource) for key, resource in resources.items()},
        # One process a run: a step has no work that others could share, and a start costs seconds.
        executor=dg.in_process_executor,
    )


defs = build_defs()
