"""Phase 1: the chunks and references of each file version, parsed with tree-sitter and stored without vectors.

Both come from one parse, so they are one step, whichever of the two was asked for.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import dagster as dg
from pydantic import Field

from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, check_held, hold
from code_index.index.settings import Settings
from code_index.index.source import scanned_source
from code_index.parsing.configuration import parser_config
from code_index.parsing.parser_pool import GROUP_FILES, ParserPool
from indexing_assets.assets.column_descriptions import table_metadata
from indexing_assets.assets.parse_run import COMMIT_CHUNKS, ParseRun, commits_of
from indexing_assets.checks import Subject, evaluate
from indexing_assets.checks.asset_checks import check_specs, results
from indexing_assets.runs.index_names import (
    INDEX_RESOURCE,
    IO_MANAGER,
    PARSED_CHUNKS,
    REFERENCES,
    SOURCE_FILES,
    IndexNames,
)
from indexing_assets.runs.index_resources import index_of
from indexing_assets.runs.live_runs import tag_process
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partition_failures import partitions_failed
from indexing_assets.runs.partitions import partitions_definition
from indexing_assets.runs.planning import chunker_code_version
from indexing_assets.runs.pools import PARSE_POOL
from indexing_assets.upkeep.compaction import CHUNK_TABLES, PeriodicCompaction, compact_due
from indexing_assets.upkeep.small_batches import match_batches
from resources.index_resource import IndexResource

_DESCRIPTIONS: Final = {
    PARSED_CHUNKS: """Functions, classes, methods and module code of each file, in the table `chunks`, without vectors.

One partition per file version. A file that cannot be parsed costs only its partition, which shows
as failed, with the reason in the run's log, in the table `files` and in `code-index status --failed`.""",
    REFERENCES: """Definitions and references of each file by name, in the table `references`.

They come from the parse that makes `parsed_chunks`: a run of either is one of both. Names are read from the syntax;
what a reference means is known where its file defines or imports it (`code-index symbol`).""",
}


class ParsedChunksConfig(dg.Config):
    """Options of one run."""

    force: bool = Field(
        default=False, description="Parse every file of the run again, also those whose chunks are stored."
    )


def build_parsed_chunks(names: IndexNames, folder: IndexFolder, settings: Settings) -> dg.AssetsDefinition:
    """The assets `parsed_chunks` and `references` of an index.

    Args:
        names: names of the index.
        folder: where its tables are, for the links in its metadata.
        settings: limits of the chunker, part of the code version.
    """

    @dg.multi_asset(
        name=names.asset_key(PARSED_CHUNKS).to_python_identifier(),
        specs=[
            dg.AssetSpec(
                names.asset_key(asset),
                deps=[names.asset_key(SOURCE_FILES)],
                description=description,
                metadata=table_metadata(names, asset, folder),
                skippable=True,
                group_name=names.group_name,
                kinds={"python", "treesitter", "lancedb"},
                owners=["team:code-index"],
                code_version=chunker_code_version(settings),
            ).with_io_manager_key(names.prefixed(IO_MANAGER))
            for asset, description in _DESCRIPTIONS.items()
        ],
        partitions_def=partitions_definition(names, PARSED_CHUNKS),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=PARSE_POOL,
        check_specs=[spec for asset in _DESCRIPTIONS for spec in check_specs(names, asset)],
        required_resource_keys={names.prefixed(INDEX_RESOURCE)},
    )
    def parsed_chunks(context: dg.AssetExecutionContext, config: ParsedChunksConfig) -> Iterator[dg.AssetCheckResult]:
        # A generator without an output: for one, as for a plain return, Dagster would write a second
        # event for every partition of the run.
        yield from _parse(context, config, index_of(context, names), names)

    return parsed_chunks


def _parse(
    context: dg.AssetExecutionContext, config: ParsedChunksConfig, index: IndexResource, names: IndexNames
) -> Iterator[dg.AssetCheckResult]:
    tag_process(context, index.folder(names.index).locks)
    opened = open_index(context.instance, index, names)
    folder, settings = opened.folder, opened.settings
    with hold(folder.locks, Phase.PARSE, run_id=context.run.run_id):
        run = ParseRun(context, opened)
        run.plan(force=config.force)
        bound = settings.parse_checkpoint_files
        context.log.info(
            "%d file versions to parse, %.1f MB; %d are stored already.",
            len(run.tasks),
            sum(task.size_bytes for task in run.tasks.values()) / 1e6,
            run.tally.reused,
        )
        # Nobody searches a first index before it is there, and each compaction leaves a copy for a while.
        compaction = PeriodicCompaction(opened.store, CHUNK_TABLES) if opened.store.chunks.count() else None
        if run.tasks:
            scanned_source(folder)
            with (
                ParserPool(
                    parser_config(folder, settings), workers=settings.parse_workers, group_files=min(GROUP_FILES, bound)
                ) as pool,
                # During a commit only the files of the next one are parsed: what a crash can cost stays bounded.
                closing(pool.parse_ahead(run.tasks.values(), files=bound, chunks=COMMIT_CHUNKS)) as ahead,
            ):
                for groups in commits_of(ahead, bound):
                    run.commit(groups)
                    if compaction is not None:
                        compaction.after_commit()
        check_held(folder.locks, Phase.PARSE)
        run.commits.finish()
        match_batches(opened)
        compact_due(opened.store, CHUNK_TABLES)
        run.drop_replaced()
        subject = Subject(opened, file_paths=run.file_paths, since_last_look=True)
        outcomes = {asset: list(evaluate(subject, asset=asset)) for asset in _DESCRIPTIONS}
    tally = run.tally
    summary = tally.metadata()
    context.log.info(
        "Parsed %d files into %d chunks (%s files/s, %s chunks/s); %d were stored already, %d are superseded, %d failed.",
        tally.files - tally.superseded - len(tally.failures),
        tally.chunks,
        summary["files_per_s"],
        summary["chunks_per_s"],
        tally.reused,
        tally.superseded,
        len(tally.failures),
    )
    for asset, found in outcomes.items():
        for result in results(names, asset, found, context.run):
            if dg.AssetCheckKey(names.asset_key(asset), str(result.check_name)) in context.selected_asset_check_keys:
                yield result
    if tally.failures:
        raise partitions_failed("file", tally.failures, summary)
