"""Phase 2: one vector per chunk, embedded batch by batch and stored where search reads."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from code_index.embedding.loader import is_table
from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, check_held, hold
from code_index.index.settings import Settings
from code_index.sharing.libraries import Libraries
from indexing_assets.assets.column_descriptions import table_metadata
from indexing_assets.assets.embed_run import EmbedRun
from indexing_assets.checks import Subject, evaluate
from indexing_assets.checks.asset_checks import check_specs, results
from indexing_assets.runs.index_names import (
    CHUNK_VECTORS,
    EMBEDDER_RESOURCE,
    INDEX_RESOURCE,
    IO_MANAGER,
    PARSED_CHUNKS,
    IndexNames,
)
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.live_runs import tag_process
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partition_failures import partitions_failed
from indexing_assets.runs.partitions import partitions_definition
from indexing_assets.runs.planning import embedding_identity
from indexing_assets.runs.pools import embed_pool
from indexing_assets.upkeep.compaction import VECTOR_TABLES, compact_due, expire_copies
from indexing_assets.upkeep.expiry import compact_and_expire
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource


class ChunkVectorsConfig(dg.Config):
    """Options of one run."""

    force: bool = Field(default=False, description="Embed every chunk of the run again, also those with a vector.")


def build_chunk_vectors(names: IndexNames, folder: IndexFolder, settings: Settings) -> dg.AssetsDefinition:
    """The asset `chunk_vectors` of an index.

    Args:
        names: names of the index.
        folder: where its tables are, for the links in its metadata.
        settings: model and device; the model is part of the code version, the device names the pool.
    """

    @dg.asset(
        key=names.asset_key(CHUNK_VECTORS),
        partitions_def=partitions_definition(names, CHUNK_VECTORS),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        # A batch mixes chunks of many files: no file partition is named, so that Dagster resolves
        # none of 60,000 upstream keys per run or page; the tables know what is pending.
        deps=[dg.AssetDep(names.asset_key(PARSED_CHUNKS), partition_mapping=dg.SpecificPartitionsPartitionMapping([]))],
        group_name=names.group_name,
        kinds={"python", "huggingface", "lancedb"},
        owners=["team:code-index"],
        code_version=embedding_identity(settings),
        metadata=table_metadata(names, CHUNK_VECTORS, folder),
        pool=embed_pool(settings),
        check_specs=check_specs(names, CHUNK_VECTORS),
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
        io_manager_key=names.prefixed(IO_MANAGER),
    )
    def chunk_vectors(context: dg.AssetExecutionContext, config: ChunkVectorsConfig) -> Iterator[dg.AssetCheckResult]:
        """The vector of each chunk, in the table `vectors` that search reads.

        One partition per batch of chunks. A text that the model cannot embed costs only its chunk,
        which has the status `error` with the reason; its batch shows as failed, all others are stored.
        """
        # A generator without an output: for one, as for a plain return, Dagster would write a second
        # event for every partition of the run.
        yield from _embed(context, config, index_of(context, names), embedder_of(context, names), names)

    return chunk_vectors


def _embed(
    context: dg.AssetExecutionContext,
    config: ChunkVectorsConfig,
    index: IndexResource,
    embedder: EmbedderResource,
    names: IndexNames,
) -> Iterator[dg.AssetCheckResult]:
    tag_process(context, index.folder(names.index).locks)
    opened = open_index(context.instance, index, names)
    settings = opened.settings
    with hold(opened.folder.locks, Phase.EMBED, run_id=context.run.run_id):
        model = embedder.get(settings)
        configured = embedder.embedder_config(settings)
        opened.store.models.begin(model.model_id, configured.identity())
        opened = replace(opened, store=opened.store.for_model(model.model_id))
        libraries = Libraries.none() if is_table(configured) else Libraries.of(settings, model.model_id)
        run = EmbedRun(context, opened, model, libraries, recipe=configured.text_recipe, force=config.force)
        context.log.info("Embedding with %s.", run.embedder.describe())
        expire_copies(opened.store, VECTOR_TABLES)
        # What a killed run left half-copied is fixed before anything is counted, and chunks
        # that another process dropped meanwhile lose their vectors at the end.
        chunks_version = opened.store.tables.version("chunks")
        opened.store.sync.vectors(now=datetime.now(UTC))
        run.retire_other_models()
        run.embed_batches()
        check_held(opened.folder.locks, Phase.EMBED)
        if opened.store.tables.version("chunks") != chunks_version:  # it looks at every row of both tables
            opened.store.sync.vectors(now=datetime.now(UTC))
        run.drop_empty_batches()
        if opened.store.models.serve_if_complete(model.model_id, now=datetime.now(UTC)):
            context.log.info("Search reads the vectors of %s from now on.", model.model_id)
        compact_due(opened.store, VECTOR_TABLES)
        libraries.compact_and_expire()
        if cleaned := compact_and_expire(opened):
            context.log.info("Cleaned: %s.", cleaned)
        subject = Subject(opened, encoder=lambda: run.embedder, batch_ids=run.batch_ids, since_last_look=True)
        outcomes = list(evaluate(subject, asset=CHUNK_VECTORS))
    summary = run.tally.metadata(run.embedder)
    context.log.info(
        "%d chunks: %d embedded, %d vectors reused, %d failed (%s chunks/s, %s).",
        run.tally.chunks,
        run.tally.embedded,
        run.tally.reused,
        run.tally.failed_chunks,
        summary["chunks_per_s"],
        run.embedder.device,
    )
    yield from results(names, CHUNK_VECTORS, outcomes, context.run)
    if run.tally.failures:
        raise partitions_failed("batch", run.tally.failures, summary)
