"""The definitions that Dagster loads: assets, checks, jobs, sensors, schedules and resources.

Nothing imports this but Dagster and the pipeline. Loading needs no repository, model, GPU or network.
"""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from code_index.index.deployment import deployed_indexes
from code_index.index.folder import WATCH_VARIABLE
from indexing_assets.automation.schedules import ScheduleTimes
from indexing_assets.index_definitions import build_index_defs
from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IO_MANAGER, UNNAMED, IndexNames
from indexing_assets.runs.job_names import JOBS, RUN_JOB_VARIABLE
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
        indexes: the indexes; by default those of the deployment file, or a single one without a name. The process of a run
            has only the index of its job: those of hundreds take seconds.

    Raises:
        SettingsError: the deployment file or the settings of an index cannot be used.
    """
    resources: dict[str, Any] = {
        INDEX_RESOURCE: IndexResource(),
        EMBEDDER_RESOURCE: EmbedderResource(),
        **(overrides or {}),
    }
    index = resources[INDEX_RESOURCE]
    resources.setdefault(IO_MANAGER, LanceDBIOManager(repository_root=index.repository_root, index_dir=index.index_dir))
    # Dagster's own, which it would give itself: its folder of pickled values is then not bound.
    resources.setdefault("io_manager", dg.FilesystemIOManager())
    if indexes is None:
        indexes = _of_this_process([IndexNames(name) for name in deployed_indexes()] or [UNNAMED])
    watch = os.environ.get(WATCH_VARIABLE, "0") not in {"", "0"}
    parts = [
        build_index_defs(
            names,
            index.folder(names.index),
            resources,
            watch=watch,
            schedule_times=ScheduleTimes(running=watch),
            round_of=len(indexes),
        )
        for names in indexes
    ]
    taken = {key for part in parts for key in part.resources or {}}
    return dg.Definitions.merge(
        *parts,
        dg.Definitions(
            resources={key: bound(resource) for key, resource in resources.items() if key not in taken},
            # One process a run: a step has no work that others could share, and a start costs seconds.
            executor=dg.in_process_executor,
        ),
    )


def _of_this_process(indexes: list[IndexNames]) -> list[IndexNames]:
    job = os.environ.get(RUN_JOB_VARIABLE, "")
    return [names for names in indexes if job in map(names.prefixed, JOBS)] or indexes


defs = build_defs()
