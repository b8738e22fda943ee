"""Names of one index within a Dagster deployment.

A deployment serves one index without a name, or several with one each. Assets, partitions
definitions, jobs, sensors and schedules of a named index carry its name, because Dagster knows
each of them by its name alone across a deployment.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

SOURCE_FILES = "source_files"
PARSED_CHUNKS = "parsed_chunks"
CHUNK_VECTORS = "chunk_vectors"
SEARCH_INDEXES = "search_indexes"
INDEX_REPORT = "index_report"


@dataclass(frozen=True, slots=True)
class IndexNames:
    """Everything that carries the name of an index; `index` is None for the only index of a deployment."""

    index: str | None = None

    def asset_key(self, asset: str) -> dg.AssetKey:
        """Key of one of the index's assets."""
        return dg.AssetKey([asset] if self.index is None else [self.index, asset])

    def prefixed(self, name: str) -> str:
        """Name of a job, op, sensor or schedule of the index."""
        return name if self.index is None else f"{self.index}_{name}"

    @property
    def file_hash(self) -> str:
        """Name of the partitions definition of `parsed_chunks`."""
        return self.prefixed("file_hash")

    @property
    def embedding_batch(self) -> str:
        """Name of the partitions definition of `chunk_vectors`."""
        return self.prefixed("embedding_batch")

    @property
    def group_name(self) -> str:
        """Asset group."""
        return self.index or "code_index"


UNNAMED = IndexNames()
