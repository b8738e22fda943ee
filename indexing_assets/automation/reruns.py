"""Jobs over partitions that nobody has to name: `materialize_partitions`, and `rerun_failed_partitions`.

Launched from a page or by a schedule, a job asks Dagster for a backfill: runs, progress and cancellation are then those
of any backfill, and the daemon (`code-index ui`, `dagster dev`) works on it. Executed from a shell, where there may be
no daemon (`dagster job execute`, `dg launch --job`), it does the work itself, by the runs of `code-index materialize`
(`indexing_assets.runs.in_process`).

Decision: who started the run says which of both. A daemon that was there a minute ago may be gone, and a backfill would
wait for the next one in silence.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from code_index.index.locks import hold
from indexing_assets.runs.in_process import PHASES, execute_partitions
from indexing_assets.runs.index_names import (
    CHUNK_VECTORS,
    EMBEDDER_RESOURCE,
    INDEX_RESOURCE,
    IO_MANAGER,
    PARTITIONED,
    IndexNames,
)
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.job_names import PARTITIONS_JOB, RERUN_JOB
from indexing_assets.runs.live_runs import (
    RETRY_LASTING_TAG,
    close_dead_runs,
    keys_of_unfinished_runs,
    tag_process,
)
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.partitions import as_one_range
from indexing_assets.runs.planning import Wanted, transient_failures_due, wanted_partitions
from resources.dagster_internals import (
    BaseAssetGraph,
    PartitionBackfill,
    PartitionRangeSelector,
    PartitionsByAssetSelector,
    PartitionsSelector,
    make_new_backfill_id,
    partition_loading_context,
)
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

RERUN_OP = "rerun_partitions"
PARTITIONS_OP = "partitions"

# The partitions of an asset that are to run.
Choose = Callable[[OpenIndex, str], list[str]]


class PartitionedAsset(Enum):
    """The assets that a run is about; names and values are the words of config."""

    parsed_chunks = "parsed_chunks"
    chunk_vectors = "chunk_vectors"
    both = "both"

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of the assets, upstream first."""
        return PARTITIONED if self is PartitionedAsset.both else (self.value,)


class RerunConfig(dg.Config):
    """Options of one rerun."""

    transient_only: bool = Field(
        default=False,
        description="Rerun only transient failures whose back-off is over.",
    )


class PartitionsConfig(dg.Config):
    """Options of `materialize_partitions`."""

    wanted: Wanted = Field(
        default=Wanted.missing,
        description="missing: what `code-index index` would run; failed: what failed, for whatever reason; all: "
        "everything again, also what is stored.",
    )
    asset: PartitionedAsset = Field(
        default=PartitionedAsset.both, description="The asset whose partitions run; by default both, in turn."
    )


def build_partition_jobs(names: IndexNames) -> list[dg.JobDefinition]:
    """The jobs `materialize_partitions` and `rerun_failed_partitions` of an index."""
    # Outputs of nothing too name an IO manager, and a project's own is not ours.
    op = partial(
        dg.op,
        out=dg.Out(dg.Nothing, io_manager_key=names.prefixed(IO_MANAGER)),
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
    )

    @op(name=names.prefixed(PARTITIONS_OP))
    def partitions(context: dg.OpExecutionContext, config: PartitionsConfig) -> None:
        opened = open_index(context.instance, index_of(context, names), names)
        choose = partial(_wanted, config.wanted, embedder_of(context, names))
        force = config.wanted is Wanted.all
        _run_or_request(context, opened, choose, config.asset.assets, title=config.wanted.value, force=force)

    @op(name=names.prefixed(RERUN_OP))
    def rerun_partitions(context: dg.OpExecutionContext, config: RerunConfig) -> None:
        opened = open_index(context.instance, index_of(context, names), names)
        choose = partial(_failed, config.transient_only, embedder_of(context, names))
        _run_or_request(
            context, opened, choose, PARTITIONED, title=Wanted.failed.value, retry_lasting=not config.transient_only
        )

    @dg.job(
        name=names.prefixed(PARTITIONS_JOB),
        description="Run the missing, the failed or all partitions of parsed_chunks and chunk_vectors, as its config "
        "says: from a page as a backfill, from a shell in the process of the job.",
        executor_def=dg.in_process_executor,
    )
    def materialize_partitions() -> None:
        partitions()

    @dg.job(
        name=names.prefixed(RERUN_JOB),
        description="Run the failed partitions of parsed_chunks and chunk_vectors: from a page as a backfill, from a "
        "shell in the process of the job.",
        executor_def=dg.in_process_executor,
    )
    def rerun_failed_partitions() -> None:
        rerun_partitions()

    return [materialize_partitions, rerun_failed_partitions]


def _wanted(wanted: Wanted, embedder: EmbedderResource, index: OpenIndex, asset: str) -> list[str]:
    return wanted_partitions(index, asset, wanted, lambda: embedder.get_for_queries(index.settings).model_id)


def _failed(transient_only: bool, embedder: EmbedderResource, index: OpenIndex, asset: str) -> list[str]:
    if not transient_only:
        return _wanted(Wanted.failed, embedder, index, asset)
    model_id = embedder.get_for_queries(index.settings).model_id
    return transient_failures_due(index.store, model_id, datetime.now(UTC))[asset]


def _run_or_request(
    context: dg.OpExecutionContext,
    index: OpenIndex,
    choose: Choose,
    assets: Sequence[str],
    *,
    title: str,
    force: bool = False,
    retry_lasting: bool = True,
) -> None:
    """Run the chosen partitions here or ask for a backfill of them, as the run was started.

    Raises:
        Failure: partitions that ran here failed.
    """
    close_dead_runs(context.instance, index)
    tags = {} if retry_lasting else {RETRY_LASTING_TAG: "false"}
    if executed_here(context.run):
        _run(context, index, choose, assets, force=force, tags=tags)
        return
    keys = free_keys(index, choose, assets)
    if not any(keys.values()):
        context.log.info("No partition of %s is to run (%s).", " or ".join(assets), title)
        return
    backfill_id = request_backfill(
        index, context.repository_def.asset_graph, keys, title=f"Partitions: {title}", force=force, tags=tags
    )
    context.log.info(
        "Asked for backfill %s of %s; the Backfills page shows it.",
        backfill_id,
        " and ".join(f"{len(some)} partitions of {asset}" for asset, some in keys.items() if some),
    )


def executed_here(run: dg.DagsterRun) -> bool:
    """Tell whether a process executes a run that it made itself: Dagster's web server and daemon name its origin."""
    return run.remote_job_origin is None


def _run(
    context: dg.OpExecutionContext,
    index: OpenIndex,
    choose: Choose,
    assets: Sequence[str],
    *,
    force: bool,
    tags: Mapping[str, str],
) -> None:
    tag_process(context, index.folder.locks)
    errors = []
    for asset in assets:
        with hold(index.folder.locks, PHASES[asset], run_id=context.run.run_id):
            keys = choose(index, asset)
            context.log.info("%d partitions of %s are to run.", len(keys), asset)
            if not keys:
                continue
            try:
                result = execute_partitions(
                    index, context.repository_def.get_job, asset, keys, force=force, tags=tags, more_config={}
                )
            except KeyboardInterrupt:
                raise dg.DagsterExecutionInterruptedError from None
        if result.error is not None:
            errors.append(f"{asset}: {result.error} (run {result.run_id})")
            if not result.partial:
                break
    if errors:
        raise dg.Failure(description=" ".join(errors), allow_retries=False)


def keys_to_rerun(
    instance: dg.DagsterInstance,
    index: IndexResource,
    embedder: EmbedderResource,
    names: IndexNames,
    *,
    transient_only: bool = False,
) -> dict[str, list[str]]:
    """Keys of failed partitions by asset, less those that a run is already to work on.

    Raises:
        IndexMissingError: there is no index yet.
        ModelError: the model is missing.
    """
    opened = open_index(instance, index, names)
    return free_keys(opened, partial(_failed, transient_only, embedder), PARTITIONED)


def free_keys(index: OpenIndex, choose: Choose, assets: Sequence[str]) -> dict[str, list[str]]:
    """Chosen partition keys by asset, less those that are gone or that a run is already to work on."""
    keys = {}
    for asset in assets:
        chosen = choose(index, asset)
        if asset == CHUNK_VECTORS:  # chunks may have been stored by a run that died before it added their key
            index.instance.add_dynamic_partitions(index.names.partitions(asset), chosen)
        free = set(index.partition_keys(asset)) - keys_of_unfinished_runs(index, asset)
        keys[asset] = [key for key in chosen if key in free]
    return keys


def request_backfill(
    index: OpenIndex,
    asset_graph: BaseAssetGraph[Any],
    keys: Mapping[str, Sequence[str]],
    *,
    title: str,
    force: bool = False,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Ask Dagster for a backfill of these partitions, by asset, as one run per asset; returns its id.

    Args:
        index: whose partitions they are.
        asset_graph: has the assets.
        keys: partition keys by asset.
        title: of the backfill, as the Backfills page shows it.
        force: also what is stored already.
        tags: of its runs.
    """
    backfill_id: str = make_new_backfill_id()
    selectors = []
    for asset, wanted in keys.items():
        if wanted:
            ordered = as_one_range(index.instance, index.names.partitions(asset), wanted)
            ranges = [PartitionRangeSelector(start=ordered[0], end=ordered[-1])]
            selectors.append(
                PartitionsByAssetSelector(
                    asset_key=index.names.asset_key(asset), partitions=PartitionsSelector(ranges=ranges)
                )
            )
    ops = {index.names.asset_key(asset).to_python_identifier(): {"config": {"force": True}} for asset in keys}
    with partition_loading_context(dynamic_partitions_store=index.instance):
        backfill = PartitionBackfill.from_partitions_by_assets(
            backfill_id=backfill_id,
            asset_graph=asset_graph,
            backfill_timestamp=time.time(),
            tags=dict(tags or {}),
            dynamic_partitions_store=index.instance,
            partitions_by_assets=selectors,
            title=title,
            description=None,
            run_config={"ops": ops} if force else None,
        )
    index.instance.add_backfill(backfill)
    return backfill_id
