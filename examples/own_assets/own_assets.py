"""Assets of your own on an index, in Polars and in Arrow: copy this module, and change it.

Load it in place of `indexing_assets.definitions`; docs/own-assets.md says how, and what else there is.
"""

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from indexing_assets import definitions as index


def chunks_in(*columns: str, mapping: dg.PartitionMapping | None = None) -> dg.AssetIn:
    """An input that reads these columns of `parsed_chunks`, by default of the partitions of the run only."""
    return dg.AssetIn(
        "parsed_chunks",
        input_manager_key="lancedb_io_manager",
        partition_mapping=mapping,
        metadata={"columns": list(columns)},
    )


# One partition per file version, the same ones as those of parsed_chunks.
FILE_VERSIONS = dg.DynamicPartitionsDefinition(name="file_hash")


@dg.asset(
    ins={"chunks": chunks_in("file_path", "function_name", "docstring", "cyclomatic_complexity")},
    partitions_def=FILE_VERSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_expr": "file_version"},
    io_manager_key="lancedb_io_manager",
)
def file_summaries(chunks: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """A row for each file: how many functions it has, how many of them are documented, how complex the worst is."""
    functions = pl.col("function_name").is_not_null()
    summaries = [
        rows.select(
            pl.lit(file_version).alias("file_version"),
            pl.col("file_path").first(),
            functions=functions.sum(),
            documented=(functions & pl.col("docstring").is_not_null()).sum(),
            complexity=pl.col("cyclomatic_complexity").max(),
        )
        for file_version, rows in chunks.items()
    ]
    return pl.concat(summaries)


@dg.asset(
    ins={"chunks": chunks_in("imports")},
    partitions_def=FILE_VERSIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_expr": "file_version"},
    io_manager_key="lancedb_io_manager",
)
def file_imports(chunks: dict[str, pa.Table]) -> pa.Table:
    """A row for each module that a file imports."""
    modules = {version: pc.unique(pc.list_flatten(rows["imports"])).to_pylist() for version, rows in chunks.items()}
    pairs = [(version, module) for version, of_file in modules.items() for module in of_file]
    return pa.table(
        {
            "file_version": pa.array([version for version, _ in pairs], pa.string()),
            "module": pa.array([module for _, module in pairs], pa.string()),
        }
    )


@dg.asset(
    ins={
        "chunks": chunks_in(
            *("file_path", "start_line", "language", "function_name", "docstring", "cyclomatic_complexity"),
            mapping=dg.AllPartitionMapping(),
        )
    },
    io_manager_key="lancedb_io_manager",
)
def undocumented_functions(chunks: pl.LazyFrame) -> pl.LazyFrame:
    """Functions of all files without a docstring, the most complex first."""
    functions = chunks.filter(pl.col("function_name").is_not_null(), pl.col("docstring").is_null())
    return functions.drop("docstring").sort("cyclomatic_complexity", descending=True)


@dg.asset(io_manager_key="lancedb_io_manager")
def undocumented_languages(undocumented_functions: pl.DataFrame, language_figures: pl.DataFrame) -> pl.DataFrame:
    """Undocumented functions for each 1,000 lines of a language."""
    counts = undocumented_functions.group_by("language").agg(functions=pl.len())
    return language_figures.join(counts, on="language").select(
        "language", "functions", per_1000_lines=1000 * pl.col("functions") / pl.col("lines")
    )


defs = dg.Definitions.merge(
    index.defs,
    dg.Definitions(assets=[file_summaries, file_imports, undocumented_functions, undocumented_languages]),
)
