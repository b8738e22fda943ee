"""What Dagster loads: assets, jobs and resources. Nothing imports this but Dagster and the pipeline.

Loading needs no repository, model, GPU or network.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from indexing_assets.chunk_vectors import chunk_vectors
from indexing_assets.jobs import embed_chunks_job, parse_chunks_job, scan_source_files_job
from indexing_assets.parsed_chunks import parsed_chunks
from indexing_assets.source_files import source_files
from resources.embedding.resource import EmbedderResource
from resources.index_folder import TABLES_DIR_VARIABLE
from resources.index_resource import IndexResource
from resources.lancedb_io_manager import LanceDBIOManager


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The definitions, with resources replaced by those of `overrides` (`index`, `embedder`, `lancedb_io_manager`)."""
    resources: dict[str, Any] = {
        "index": IndexResource(),
        "embedder": EmbedderResource(),
        "lancedb_io_manager": LanceDBIOManager(tables_dir=dg.EnvVar(TABLES_DIR_VARIABLE)),
        **(overrides or {}),
    }
    return dg.Definitions(
        assets=[source_files, parsed_chunks, chunk_vectors],
        jobs=[scan_source_files_job, parse_chunks_job, embed_chunks_job],
        resources=resources,
    )


defs = build_defs()
