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
from code_index.tables.own_commits import OF_THIS_PROCESS
from code_index.tables.schemas import EMBEDDING_ERRORS
from code_index.tables.sql import equals, is_in
from code_index.tables.table_names import CHUNKS_TABLE, ERRORS_TABLE
from code_index.tables.vectors import VectorRows

if TYPE_CHECKING:
    import polars as pl

_STATUS = "embedding_status"
_FEW_CHUNKS = 20_000  # ids in one condition; beyond, all vectors are read sooner
_SIZES, _COUNTED = "chunks of each batch", "chunks of each batch by status"


class ChunkStatuses:
    """Read the derived `embedding_status`."""

    def __init__(self, tables: LanceTables, chunks: ChunkRows, vectors: VectorRows) -> None:
        self._tables = tables
        self._chunks = chunks
        self._vectors = vectors

    def read(
        self,
        model: str,
        *,
        running_batches: Collection[int] = (),
        columns: Sequence[str] = (),
        batches: Collection[int] | None = None,
    ) -> pl.DataFrame:
        """Read one row a chunk: chunk_id, file_path, embedding_batch_id, embedding_status, and `columns` of `chunks`.

        The chunks are those of these batches, or all.
        """
        wanted = list(dict.fromkeys(["chunk_id", "file_path", "embedding_batch_id", *columns]))
        where = None if batches is None else is_in("embedding_batch_id", batches)
        return self._with_status(self._chunks.read(wanted, where), model, running_batches)

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
        return self._sizes().to_arrow()

    def _sizes(self) -> pl.DataFrame:
        """Chunks of each batch, by id: read once for each version of `chunks`."""
        with importing:
            import polars as pl

        versions = self._tables.versions(CHUNKS_TABLE)
        fact = (_SIZES, *versions)
        look = OF_THIS_PROCESS.last(fact)
        if look is not None and look.versions == versions:
            return look.found
        ids = pl.DataFrame(self._chunks.read(["embedding_batch_id"]))
        sizes = ids.drop_nulls().group_by("embedding_batch_id").agg(chunks=pl.len()).sort("embedding_batch_id")
        OF_THIS_PROCESS.note(fact, versions, sizes)
        return sizes

    def _batch_counts(self, model: str) -> pl.DataFrame:
        """Count each batch's chunks by status: after the first time, those of batches that had or may have some to embed."""
        with importing:
            import polars as pl

        vectors = self._vectors.of_model(model)
        versions = self._tables.versions(CHUNKS_TABLE) | vectors.versions()
        fact = (_COUNTED, model, *versions)
        sizes, changed, last = self._sizes(), OF_THIS_PROCESS.changed(fact, versions), OF_THIS_PROCESS.last(fact)
        open_batches = None
        if changed is not None and last is not None:
            open_batches = self._open_batches(sizes, changed, last.found, model)
        where = None if open_batches is None else is_in("embedding_batch_id", open_batches)
        statuses = self._with_status(self._chunks.read(["chunk_id", "embedding_batch_id"], where), model, ())
        is_status = {
            "pending": EmbeddingStatus.PENDING,
            "errors": EmbeddingStatus.ERROR,
            "complete": EmbeddingStatus.COMPLETE,
        }
        counts = (
            statuses.lazy()
            .drop_nulls("embedding_batch_id")
            .group_by("embedding_batch_id")
            .agg(**{name: (pl.col(_STATUS) == status.value).sum().cast(pl.Int64) for name, status in is_status.items()})
            .sort("embedding_batch_id")
            .collect()
        )
        incomplete = counts.filter(pl.col("pending") + pl.col("errors") > 0)["embedding_batch_id"].to_list()
        OF_THIS_PROCESS.note(fact, versions, incomplete)
        if open_batches is None:
            return counts
        others = sizes.join(counts, on="embedding_batch_id", how="anti").select(
            "embedding_batch_id", pending=pl.lit(0, pl.Int64), errors=pl.lit(0, pl.Int64), complete="chunks"
        )
        return pl.concat([counts, others.cast({"complete": pl.Int64})]).sort("embedding_batch_id")

    def _open_batches(
        self, sizes: pl.DataFrame, changed: Collection[str], incomplete: Collection[int], model: str
    ) -> list[int] | None:
        """Batches that may have a chunk without a vector: those that had one, and those of changed files and of errors.

        None where they have so many chunks that all are read sooner.
        """
        with importing:
            import polars as pl

        failed = self._failed(model)
        if len(failed) > _FEW_CHUNKS:
            return None
        found = self._chunks.read(["embedding_batch_id"], is_in("file_path", changed))
        batches = {*incomplete, *found.column("embedding_batch_id").drop_null().to_pylist()}
        batches |= set(self._chunks.by_ids(failed, ["embedding_batch_id"]).column("embedding_batch_id").to_pylist())
        opened = sizes.filter(pl.col("embedding_batch_id").is_in(sorted(batches - {None})))
        return opened["embedding_batch_id"].to_list() if opened["chunks"].sum() <= _FEW_CHUNKS else None

    def _failed(self, model: str) -> list[str]:
        failed = self._tables.read(
            ERRORS_TABLE, EMBEDDING_ERRORS, columns=["chunk_id"], where=equals("embedding_model", model)
        )
        ids: list[str] = failed.column("chunk_id").to_pylist()
        return ids

    def _with_status(self, chunks: pa.Table, model: str, running_batches: Collection[int]) -> pl.DataFrame:
        with importing:
            import polars as pl

        few = chunks.column("chunk_id").to_pylist() if chunks.num_rows <= _FEW_CHUNKS else None
        complete = self._vectors.embedded(model, few)
        running = pl.Series(values=sorted(running_batches), dtype=pl.Int64)
        frame = pl.DataFrame(chunks)
        return frame.with_columns(
            pl.when(pl.col("chunk_id").is_in(pl.Series(complete).implode()))
            .then(pl.lit(EmbeddingStatus.COMPLETE.value))
            .when(pl.col("chunk_id").is_in(pl.Series(self._failed(model), dtype=pl.String).implode()))
            .then(pl.lit(EmbeddingStatus.ERROR.value))
            .when(pl.col("embedding_batch_id").is_in(running.implode()))
            .then(pl.lit(EmbeddingStatus.IN_PROGRESS.value))
            .otherwise(pl.lit(EmbeddingStatus.PENDING.value))
            .alias(_STATUS)
        )
