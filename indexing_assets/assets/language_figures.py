"""`language_figures`: how much of each language the index holds, as a table for other assets and tools.

The rows go through `LanceDBIOManager`, as those of a user's own assets do (docs/own-assets.md).
"""

import dagster as dg
import polars as pl

from code_index.report.figures import language_figures as figures_of
from indexing_assets.runs.index_names import INDEX_RESOURCE, IO_MANAGER, LANGUAGE_FIGURES, SEARCH_INDEXES, IndexNames
from indexing_assets.runs.index_resources import index_of
from indexing_assets.runs.live_runs import tag_process
from indexing_assets.runs.materializations import markdown_table
from indexing_assets.runs.open_index import open_index


def build_language_figures(names: IndexNames) -> dg.AssetsDefinition:
    """The asset `language_figures` of an index."""

    @dg.asset(
        key=names.asset_key(LANGUAGE_FIGURES),
        deps=[names.asset_key(SEARCH_INDEXES)],
        required_resource_keys={names.prefixed(INDEX_RESOURCE)},
        io_manager_key=names.prefixed(IO_MANAGER),
        group_name=names.group_name,
        kinds={"polars", "lancedb"},
        owners=["team:code-index"],
        code_version="1",
    )
    def language_figures(context: dg.AssetExecutionContext) -> dg.MaterializeResult[pl.DataFrame]:
        """A row for each language: files, chunks, vectors, lines, bytes and mean complexity of its functions.

        Assets of your own can take it as an input.
        """
        index = index_of(context, names)
        tag_process(context, index.folder(names.index).locks)
        opened = open_index(context.instance, index, names)
        figures = figures_of(opened.store)
        return dg.MaterializeResult(value=figures, metadata={"languages": markdown_table(figures.to_dicts())})

    return language_figures
