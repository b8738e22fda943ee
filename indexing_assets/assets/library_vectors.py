"""Phase 2 on several hosts: vectors of batches in the shared libraries, from where `chunk_vectors` takes them.

Belongs here: the asset. Does not belong here: which batches each host gets (`indexing_assets.automation.pending_look`).
The decision, and what it was chosen over: docs/decisions/0022-hosts-meet-in-a-library-of-vectors.md.
"""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
from pydantic import Field

from code_index.index.settings import Settings
from code_index.sharing.libraries import Libraries
from indexing_assets.assets.library_run import LibraryRun
from indexing_assets.runs.index_names import (
    EMBEDDER_RESOURCE,
    INDEX_RESOURCE,
    IO_MANAGER,
    LIBRARY_VECTORS,
    PARSED_CHUNKS,
    IndexNames,
)
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.live_runs import tag_process
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partition_failures import partitions_failed
from indexing_assets.runs.partitions import partitions_definition
from indexing_assets.runs.planning import embedding_identity
from indexing_assets.runs.pools import library_pool
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource


class LibraryVectorsConfig(dg.Config):
    """Options of one run."""

    force: bool = Field(default=False, description="Embed every chunk of the run again, also those with a vector.")


def build_library_vectors(names: IndexNames, settings: Settings) -> dg.AssetsDefinition:
    """The asset `library_vectors` of an index.

    Args:
        names: names of the index.
        settings: model and device; the model is part of the code version, the device names the pool.
    """

    @dg.asset(
        key=names.asset_key(LIBRARY_VECTORS),
        partitions_def=partitions_definition(names, LIBRARY_VECTORS),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        deps=[dg.AssetDep(names.asset_key(PARSED_CHUNKS), partition_mapping=dg.SpecificPartitionsPartitionMapping([]))],
        group_name=names.group_name,
        kinds={"python", "huggingface", "lancedb"},
        owners=["team:code-index"],
        code_version=embedding_identity(settings),
        pool=library_pool(settings),
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
        io_manager_key=names.prefixed(IO_MANAGER),
    )
    def library_vectors(
        context: dg.AssetExecutionContext, config: LibraryVectorsConfig
    ) -> Iterator[dg.AssetCheckResult]:
        """The vectors of batches of chunks in the shared libraries, by several hosts at once.

        The partitions are those of `chunk_vectors`, whose run takes the vectors from there. A run leaves out what the index
        or a library has. A batch with a text that the model cannot embed fails here; `chunk_vectors` tries that text again.
        """
        # A generator without an output, as chunk_vectors is: Dagster would write second events.
        _embed(context, config, index_of(context, names), embedder_of(context, names), names)
        yield from ()

    return library_vectors


def _embed(
    context: dg.AssetExecutionContext,
    config: LibraryVectorsConfig,
    index: IndexResource,
    embedder: EmbedderResource,
    names: IndexNames,
) -> None:
    tag_process(context, index.folder(names.index).locks)
    opened = open_index(context.instance, index, names)
    model = embedder.get(opened.settings)
    configured = embedder.embedder_config(opened.settings)
    opened = replace(opened, store=opened.store.for_model(model.model_id))
    libraries = Libraries.of(opened.settings, model.model_id)
    context.log.info("Embedding with %s.", model.describe())
    run = LibraryRun(context, opened, model, libraries, recipe=configured.text_recipe, force=config.force)
    run.embed_batches()
    libraries.compact_and_expire()
    if run.tally.failures:
        raise partitions_failed("batch", run.tally.failures, run.tally.metadata(model))
