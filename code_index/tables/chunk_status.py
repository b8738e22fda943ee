"""Status of the chunks in phase 2, derived from the tables.

Nothing here is stored: a chunk is complete when `vectors` has its row for the model, failed when
`embedding_errors` has one and no vector, in progress while a running batch holds it, else pending.
A stored status would go stale, and rewriting it takes the rows out of every index.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from code_index.core.lazy_imports import importing
from code_index.core.model import EmbeddingStatus
from code_index.tables.chunks import ChunkRows
from code_index.tables.lance_tables import LanceTables
from code_index.tables.schemas import EMBEDDING_ERRORS
from code_index.tables.sql import equals
from code_index.tables.table_names import ERRORS_TABLE
from code_index.tables.vectors import VectorRows

if TYPE_CHECKING:
    import polars as pl

_STATUS = "embedding_status"


class ChunkStatuses:
    """Read the derived `embedding_status`."""

    def __init__(self, tables: LanceTables, chunks: ChunkRows, vectors: VectorRows) -> None:
        self._tables = tables
        self._chunks = chunks
        self._vectors = vectors

    def read(self, model: str, *, running_batches: Collection[int] = (), columns: Sequence[str] = ()) -> pl.DataFrame:
        """Read one row a chunk: chunk_id, file_path, embedding_batch_id, embedding_status, and `columns` of `chunks`."""
        wanted = list(dict.fromkeys(["chunk_id", "file_path", "embedding_batch_id", *columns]))
        return self._with_status(self._chunks.read(wanted), model, running_batches)

    def count(self, model: str, running_batches: Collection[int] = ()) -> dict[str, int]:
        """Count the chunks per status; every status is a key."""
        statuses = self._with_status(self._chunks.read(["chunk_id", "embedding_batch_id"]), model, running_batches)
        counted = dict(statuses.get_column(_STATUS).value_counts().iter_rows())
        return {status.value: int(counted.get(status.value, 0)) for status in EmbeddingStatus}

    def pending_batches(self, model: str) -> pa.Table:
        """List the batches that are not complete, by id: embedding_batch_id, pending, errors, complete (chunks)."""
        with importing:
            import polars as pl

        return self._batch_counts(model).filter(pl.col("pending") + pl.col("errors") > 0).to_arrow()

    def batches(self, model: str | None = None) -> pa.Table:
        """List all batches, by id: embedding_batch_id and chunks; with `model` also pending, errors, complete."""
        with importing:
            import polars as pl

        if model is not None:
            counts = self._batch_counts(model)
            return counts.with_columns(chunks=pl.sum_horizontal("pending", "errors", "complete")).to_arrow()
        ids = pl.DataFrame(self._chunks.read(["embedding_batch_id"]))
        return (
            ids.lazy()
            .drop_nulls()
            .group_by("embedding_batch_id")
            .agg(chunks=pl.len())
            .sort("embedding_batch_id")
            .collect()
            .to_arrow()
        )

    def _batch_counts(self, model: str) -> pl.DataFrame:
        with importing:
            import polars as pl

        statuses = self._with_status(self._chunks.read(["chunk_id", "embedding_batch_id"]), model, ())
        is_status = {
            "pending": EmbeddingStatus.PENDING,
            "errors": EmbeddingStatus.ERROR,
            "complete": EmbeddingStatus.COMPLETE,
        }
        return (
            statuses.lazy()
            .drop_nulls("embedding_batch_id")
            .group_by("embedding_batch_id")
            .agg(**{name: (pl.col(_STATUS) == status.value).sum().cast(pl.Int64) for name, status in is_status.items()})
            .sort("embedding_batch_id")
            .collect()
        )

    def _with_status(self, chunks: pa.Table, model: str, running_batches: Collection[int]) -> pl.DataFrame:
        with importing:
            import polars as pl

        complete = self._vectors.embedded(model)
        failed = self._tables.read(
            ERRORS_TABLE, EMBEDDING_ERRORS, columns=["chunk_id"], where=equals("embedding_model", model)
        )
        running = pl.Series(values=sorted(running_batches), dtype=pl.Int64)
        frame = pl.DataFrame(chunks)
        return frame.with_columns(
            pl.when(pl.col("chunk_id").is_in(pl.Series(complete).implode()))
            .then(pl.lit(EmbeddingStatus.COMPLETE.value))
            .when(pl.col("chunk_id").is_in(pl.Series(failed.column("chunk_id")).implode()))
            .then(pl.lit(EmbeddingStatus.ERROR.value))
            .when(pl.col("embedding_batch_id").is_in(running.implode()))
            .then(pl.lit(EmbeddingStatus.IN_PROGRESS.value))
            .otherwise(pl.lit(EmbeddingStatus.PENDING.value))
            .alias(_STATUS)
        )
