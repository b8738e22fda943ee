"""`rerun_failed_partitions`: a backfill of what failed, as the filter in the web interface would launch it.

The job asks Dagster for a backfill rather than doing the work itself, so that runs, progress and
cancellation are those of any backfill. It needs the daemon (`code-index ui`, `dagster dev`); without
one, `code-index resume --failed` retries the same, by other code (`indexing_assets.runs.planning`).
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.selector import PartitionRangeSelector, PartitionsByAssetSelector, PartitionsSelector
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.utils import make_new_backfill_id
from pydantic import Field

from indexing_assets.runs.index_names import EMBEDDER_RESOURCE, INDEX_RESOURCE, IO_MANAGER, IndexNames
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.job_names import RERUN_JOB
from indexing_assets.runs.live_runs import RETRY_LASTING_TAG, close_dead_runs, keys_of_unfinished_runs
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partitions import as_one_range
from indexing_assets.runs.planning import failed_partitions, transient_failures_due
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

RERUN_OP = "request_backfill_of_failed_partitions"


class RerunConfig(dg.Config):
    """Options of one rerun."""

    transient_only: bool = Field(
        default=False,
        description="Rerun only transient failures whose back-off is over.",
    )


def build_rerun_job(names: IndexNames) -> dg.JobDefinition:
    """The job that reruns failed partitions of both partitioned assets of an index."""

    @dg.op(
        name=names.prefixed(RERUN_OP),
        out=dg.Out(dg.Nothing, io_manager_key=names.prefixed(IO_MANAGER)),
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
    )
    def request_backfill_of_failed_partitions(context: dg.OpExecutionContext, config: RerunConfig) -> None:
        close_dead_runs(context.instance)
        index, embedder = index_of(context, names), embedder_of(context, names)
        keys = keys_to_rerun(context.instance, index, embedder, names, transient_only=config.transient_only)
        if not any(keys.values()):
            context.log.info("No partition is failed.")
            return
        backfill_id = request_backfill(
            context.instance,
            context.repository_def.asset_graph,
            names,
            keys,
            retry_lasting=not config.transient_only,
        )
        context.log.info(
            "Asked for backfill %s of %s; the Backfills page shows it.",
            backfill_id,
            " and ".join(f"{len(some)} partitions of {asset}" for asset, some in keys.items() if some),
        )

    @dg.job(
        name=names.prefixed(RERUN_JOB),
        description="Backfill the failed partitions of parsed_chunks and chunk_vectors, in one run each.",
        executor_def=dg.in_process_executor,
    )
    def rerun_failed_partitions() -> None:
        request_backfill_of_failed_partitions()

    return rerun_failed_partitions


def keys_to_rerun(
    instance: dg.DagsterInstance,
    index: IndexResource,
    embedder: EmbedderResource,
    names: IndexNames,
    *,
    transient_only: bool = False,
) -> dict[str, list[str]]:
    """Partition keys by asset, less those that a run is already to work on.

    Raises:
        IndexMissingError: there is no index yet.
        ModelError: the model is missing.
    """
    opened = open_index(instance, index, names)
    model_id = embedder.get_for_queries(opened.settings).model_id
    if transient_only:
        keys = transient_failures_due(opened.store, model_id, datetime.now(UTC))
    else:
        keys = failed_partitions(opened, model_id)
    for asset, failed in keys.items():
        free = set(opened.partition_keys(asset)) - keys_of_unfinished_runs(opened, asset)
        keys[asset] = [key for key in failed if key in free]
    return keys


def request_backfill(
    instance: dg.DagsterInstance,
    asset_graph: BaseAssetGraph[Any],
    names: IndexNames,
    keys: Mapping[str, Sequence[str]],
    *,
    retry_lasting: bool = True,
) -> str:
    """Ask Dagster for a backfill of these partitions, by asset, as one run per asset; returns its id.

    Without `retry_lasting`, chunks of these partitions that failed for a reason that lasts are skipped.
    """
    backfill_id: str = make_new_backfill_id()
    selectors = []
    for asset, failed in keys.items():
        if failed:
            ordered = as_one_range(instance, names.partitions(asset), failed)
            ranges = [PartitionRangeSelector(start=ordered[0], end=ordered[-1])]
            selectors.append(
                PartitionsByAssetSelector(
                    asset_key=names.asset_key(asset), partitions=PartitionsSelector(ranges=ranges)
                )
            )
    with partition_loading_context(dynamic_partitions_store=instance):
        backfill = PartitionBackfill.from_partitions_by_assets(
            backfill_id=backfill_id,
            asset_graph=asset_graph,
            backfill_timestamp=time.time(),
            tags={} if retry_lasting else {RETRY_LASTING_TAG: "false"},
            dynamic_partitions_store=instance,
            partitions_by_assets=selectors,
            title="Failed partitions",
            description=None,
            run_config=None,
        )
    instance.add_backfill(backfill)
    return backfill_id
