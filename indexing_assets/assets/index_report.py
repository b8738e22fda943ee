"""`index_report`: the index in tables and plots, and its health over time.

Its numeric metadata are what Dagster draws over time. The checks of the whole index belong to it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from code_index.core.atomic_writes import write_atomically
from code_index.index.contents import IndexStatus, failed_chunks, failed_files
from code_index.index.folder import IndexFolder
from code_index.report.figures import IndexFigures, gather
from code_index.report.page import html_page, markdown
from indexing_assets.runs.index_names import (
    CHUNK_VECTORS,
    EMBEDDER_RESOURCE,
    INDEX_REPORT,
    INDEX_RESOURCE,
    IO_MANAGER,
    PARSED_CHUNKS,
    SEARCH_INDEXES,
    IndexNames,
)
from indexing_assets.runs.index_resources import embedder_of, index_of
from indexing_assets.runs.index_status import read_status, runs_of, throughput
from indexing_assets.runs.live_runs import tag_process
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.run_figures import VECTORS_FROM
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

REPORT_FILE = Path("reports") / "index_report.html"
# Events looked at for the slowest files.
_RECENT_EVENTS = 2_000
_SLOWEST = 20


def build_index_report(names: IndexNames) -> dg.AssetsDefinition:
    """The asset `index_report` of an index."""

    @dg.asset(
        key=names.asset_key(INDEX_REPORT),
        deps=[names.asset_key(SEARCH_INDEXES)],
        group_name=names.group_name,
        kinds={"python", "matplotlib"},
        owners=["team:code-index"],
        code_version="1",
        required_resource_keys={names.prefixed(INDEX_RESOURCE), names.prefixed(EMBEDDER_RESOURCE)},
        io_manager_key=names.prefixed(IO_MANAGER),
    )
    def index_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Languages, sizes, complexity, throughput, slowest files and failures: a page, and figures over time.

        The page is one HTML file in the index folder; its tables and plots are also in the metadata.
        """
        return _report(context, index_of(context, names), embedder_of(context, names), names)

    return index_report


def _report(
    context: dg.AssetExecutionContext, index: IndexResource, embedder: EmbedderResource, names: IndexNames
) -> dg.MaterializeResult[None]:
    tag_process(context, index.folder(names.index).locks)
    opened = open_index(context.instance, index, names)
    folder, store = opened.folder, opened.store
    encoder = embedder.get_for_queries(opened.settings)
    status = read_status(opened, encoder.model_id)
    figures = replace(
        gather(store, encoder),
        parse_runs=runs_of(opened, PARSED_CHUNKS),
        embed_runs=runs_of(opened, CHUNK_VECTORS),
        slowest_files=_slowest_files(opened),
        failed_files=[{"file": file.file_path, "reason": file.reason} for file in failed_files(store)],
        failed_chunks=[
            {"place": f"{chunk.file_path}:{chunk.start_line}", "name": chunk.qualified_name, "reason": chunk.reason}
            for chunk in failed_chunks(store, encoder.model_id)
        ],
        counts={
            **{f"files {name}": count for name, count in status.files.items()},
            **{f"chunks {name}": count for name, count in status.chunks.items()},
            **{f"{VECTORS_FROM}{source}": count for source, count in status.vector_sources.items()},
        },
    )
    made_at = datetime.now(UTC).isoformat(sep=" ", timespec="minutes")
    page = html_page(f"Index of {folder.repository_root}", made_at, figures)
    path = _write(folder, page)
    context.log.info("Wrote the report to %s. %s", path, status.next_step)
    return dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.md(markdown(figures)),
            "page": dg.MetadataValue.path(str(path)),
            **_numbers(status, throughput(opened), figures),
        }
    )


def _numbers(status: IndexStatus, rates: Mapping[str, float], figures: IndexFigures) -> Mapping[str, int | float]:
    """Figures that Dagster draws over time, less those that are not known."""
    numbers: dict[str, int | float] = {
        "files": sum(count for name, count in status.files.items() if name != "skipped"),
        "pending_files": status.files["pending"],
        "failed_files": status.files["error"],
        "chunks": sum(status.chunks.values()),
        "vectors": status.chunks["complete"],
        "pending_chunks": status.chunks["pending"] + status.chunks["in_progress"],
        "failed_chunks": status.chunks["error"],
        "tables_bytes": sum(size for name, size in status.disk_bytes.items() if name != "dagster"),
        "dagster_bytes": status.disk_bytes["dagster"],
    }
    for name, figure in (
        ("parse_chunks_per_s", f"{PARSED_CHUNKS}.chunks_per_s"),
        ("embed_chunks_per_s", f"{CHUNK_VECTORS}.chunks_per_s"),
    ):
        if figure in rates:
            numbers[name] = rates[figure]
    if figures.search_p50_ms is not None:
        numbers["search_p50_ms"] = round(figures.search_p50_ms, 1)
        numbers["search_max_ms"] = round(max(figures.search_ms), 1)
    return numbers


def _slowest_files(index: OpenIndex) -> list[dict[str, Any]]:
    records = index.instance.fetch_materializations(index.names.asset_key(PARSED_CHUNKS), limit=_RECENT_EVENTS).records
    timed = []
    for record in records:
        said = {} if record.asset_materialization is None else record.asset_materialization.metadata
        # Earlier versions named the number of rows twice, the first ones only so.
        count = said.get("dagster/partition_row_count") or said.get("chunks")
        if count is not None and "parse_ms" in said:
            timed.append((float(said["parse_ms"].value), record.partition_key, count.value))  # type: ignore[arg-type]
    slowest = sorted(timed, key=lambda row: -row[0])[:_SLOWEST]
    return [{"partition": key, "ms": milliseconds, "chunks": chunks} for milliseconds, key, chunks in slowest]


def _write(folder: IndexFolder, page: str) -> Path:
    target = folder.path / REPORT_FILE
    write_atomically(target, page)
    target.chmod(0o644)  # others may look at the report
    return target
