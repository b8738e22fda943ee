"""Names of one index within a Dagster deployment.

A deployment serves one index without a name, or several with one each. Assets, partitions
definitions, jobs, sensors and schedules of a named index carry its name, because Dagster knows
each of them only by its name across a deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from code_index.core.lazy_imports import importing

if TYPE_CHECKING:  # names are read without Dagster, too
    import dagster as dg

SOURCE_FILES = "source_files"
PARSED_CHUNKS = "parsed_chunks"
REFERENCES = "references"  # made by the runs of parsed_chunks
CHUNK_VECTORS = "chunk_vectors"
LIBRARY_VECTORS = "library_vectors"  # only where several hosts embed an index
SEARCH_INDEXES = "search_indexes"
INDEX_REPORT = "index_report"
LANGUAGE_FIGURES = "language_figures"

ASSETS: Final = (
    SOURCE_FILES,
    PARSED_CHUNKS,
    REFERENCES,
    LIBRARY_VECTORS,
    CHUNK_VECTORS,
    SEARCH_INDEXES,
    LANGUAGE_FIGURES,
    INDEX_REPORT,
)
INDEX_RESOURCE = "index"
EMBEDDER_RESOURCE = "embedder"
IO_MANAGER = "lancedb_io_manager"

_PARTITIONS = {
    PARSED_CHUNKS: "file_hash",
    REFERENCES: "file_hash",
    LIBRARY_VECTORS: "embedding_batch",
    CHUNK_VECTORS: "embedding_batch",
}
PARTITIONED: Final = (PARSED_CHUNKS, CHUNK_VECTORS)
"""What an index needs of the assets with partitions, upstream first."""


@dataclass(frozen=True, slots=True)
class IndexNames:
    """Everything that carries the name of an index; `index` is None for the only index of a deployment."""

    index: str | None = None

    def asset_key(self, asset: str) -> dg.AssetKey:
        """Key of one of the index's assets."""
        with importing:
            import dagster as dg

        return dg.AssetKey([asset] if self.index is None else [self.index, asset])

    def prefixed(self, name: str) -> str:
        """Name of a job, op, sensor or schedule of the index, or key of a resource."""
        return name if self.index is None else f"{self.index}_{name}"

    def partitions(self, asset: str) -> str:
        """Name of an asset's partitions definition."""
        return self.prefixed(_PARTITIONS[asset])

    @property
    def group_name(self) -> str:
        """Asset group."""
        return self.index or "code_index"


def sharing_partitions(asset: str) -> list[str]:
    """Names of the assets whose partitions are those of an asset, itself among them."""
    return [other for other, partitions in _PARTITIONS.items() if partitions == _PARTITIONS[asset]]


UNNAMED = IndexNames()
