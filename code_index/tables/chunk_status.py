"""Status of the chunks in phase 2, derived from the tables.

Nothing here is stored: a chunk is complete when `vectors` has its row for the model, failed when
`embedding_errors` has one and no vector, in progress while a running batch holds it, else pending.
A stored status would go stale, and rewriting it takes the rows out of every index.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

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
        with importing:
            import polars as pl

        wanted = list(dict.fromkeys(["chunk_id", "file_path", "embedding_batch_id", *columns]))
        where = None if batches is None else is_in("embedding_batch_id", batches)
        chunks = self._chunks.read(wanted, where)
        return pl.DataFrame(chunks.append_column(_STATUS, self._status(chunks, model, running_batches)))

    def count(self, model: str, running_batches: Collection[int] = ()) -> dict[str, int]:
        """Count the chunks per status; every status is a key."""
        chunks = self._chunks.read(["chunk_id", "embedding_batch_id"])
        counted = self._status(chunks, model, running_batches).value_counts().to_pylist()
        return {status.value: 0 for status in EmbeddingStatus} | {entry["values"]: entry["counts"] for entry in counted}

    def pending_batches(self, model: str) -> pa.Table:
        """List the batches that are not complete, by id: embedding_batch_id, pending, errors, complete (chunks)."""
        counts = self._batch_counts(model)
        return counts.filter(pc.greater(pc.add(counts["pending"], counts["errors"]), 0))

    def batches(self, model: str | None = None) -> pa.Table:
        """List all batches, by id: embedding_batch_id and chunks; with `model` also pending, errors, complete."""
        if model is None:
            return self._sizes()
        counts = self._batch_counts(model)
        chunks = pc.add(pc.add(counts["pending"], counts["errors"]), counts["complete"])
        return counts.append_column("chunks", chunks)

    def _sizes(self) -> pa.Table:
        """Chunks of each batch, by id: read once for each version of `chunks`."""
        versions = self._tables.versions(CHUNKS_TABLE)
        fact = (_SIZES, *versions)
        look = OF_THIS_PROCESS.last(fact)
        if look is not None and look.versions == versions:
            known: pa.Table = look.found
            return known
        ids = self._chunks.read(["embedding_batch_id"]).drop_null()
        sizes = ids.group_by("embedding_batch_id").aggregate([([], "count_all")]).sort_by("embedding_batch_id")
        sizes = sizes.rename_columns(["embedding_batch_id", "chunks"])
        OF_THIS_PROCESS.note(fact, versions, sizes)
        return sizes

    def _batch_counts(self, model: str) -> pa.Table:
        """Count each batch's chunks by status: after the first time, those of batches that had or may have some to embed."""
        versions = {**self._tables.versions(CHUNKS_TABLE), **self._vectors.of_model(model).versions()}
        fact = (_COUNTED, model, *versions)
        sizes, changed, last = self._sizes(), OF_THIS_PROCESS.changed(fact, versions), OF_THIS_PROCESS.last(fact)
        opened = None
        if changed is not None and last is not None:
            opened = self._opened(sizes, changed, last.found, model)
        where = None if opened is None else is_in("embedding_batch_id", opened)
        counts = self._counted(self._chunks.read(["chunk_id", "embedding_batch_id"], where), model)
        incomplete = counts.filter(pc.greater(pc.add(counts["pending"], counts["errors"]), 0))
        OF_THIS_PROCESS.note(fact, versions, incomplete["embedding_batch_id"].to_pylist())
        if opened is None:
            return counts
        others = sizes.filter(pc.invert(pc.is_in(sizes["embedding_batch_id"], counts["embedding_batch_id"])))
        none = pa.repeat(pa.scalar(0, pa.int64()), others.num_rows)
        complete = pa.table([others["embedding_batch_id"], none, none, others["chunks"]], names=counts.column_names)
        return pa.concat_tables([counts, complete]).sort_by("embedding_batch_id")

    def _counted(self, chunks: pa.Table, model: str) -> pa.Table:
        status = self._status(chunks, model, ())
        kinds = {
            "pending": EmbeddingStatus.PENDING,
            "errors": EmbeddingStatus.ERROR,
            "complete": EmbeddingStatus.COMPLETE,
        }
        columns = {name: pc.equal(status, kind.value).cast(pa.int64()) for name, kind in kinds.items()}
        rows = pa.table({"embedding_batch_id": chunks["embedding_batch_id"], **columns})
        rows = rows.filter(pc.is_valid(rows["embedding_batch_id"]))
        summed = rows.group_by("embedding_batch_id").aggregate([(name, "sum") for name in kinds])
        ordered = summed.select(["embedding_batch_id", *(f"{name}_sum" for name in kinds)])
        return ordered.rename_columns(["embedding_batch_id", *kinds]).sort_by("embedding_batch_id")

    def _opened(
        self, sizes: pa.Table, changed: Collection[str], incomplete: Collection[int], model: str
    ) -> list[int] | None:
        """List the batches that may have a chunk without a vector: those that had one, of changed files, of errors.

        None where they have so many chunks that all are read sooner.
        """
        failed = self._failed(model).to_pylist()
        if len(failed) > _FEW_CHUNKS:
            return None
        found = self._chunks.read(["embedding_batch_id"], is_in("file_path", changed))["embedding_batch_id"].to_pylist()
        found += self._chunks.by_ids(failed, ["embedding_batch_id"])["embedding_batch_id"].to_pylist()
        batches = pa.array({*incomplete, *found} - {None}, pa.int64())
        opened = sizes.filter(pc.is_in(sizes["embedding_batch_id"], batches))
        if (pc.sum(opened["chunks"]).as_py() or 0) > _FEW_CHUNKS:
            return None
        ids: list[int] = opened["embedding_batch_id"].to_pylist()
        return ids

    def _failed(self, model: str) -> pa.ChunkedArray:
        where = equals("embedding_model", model)
        return self._tables.read(ERRORS_TABLE, EMBEDDING_ERRORS, columns=["chunk_id"], where=where)["chunk_id"]

    def _status(self, chunks: pa.Table, model: str, running_batches: Collection[int]) -> pa.ChunkedArray:
        """Derive the status of each of these chunks, in their order."""
        ids = chunks["chunk_id"]
        complete = self._vectors.embedded(model, ids)
        running = pa.array(sorted(running_batches), pa.int64())
        otherwise = pc.if_else(
            pc.is_in(chunks["embedding_batch_id"], running),
            EmbeddingStatus.IN_PROGRESS.value,
            EmbeddingStatus.PENDING.value,
        )
        otherwise = pc.if_else(pc.is_in(ids, self._failed(model)), EmbeddingStatus.ERROR.value, otherwise)
        return pc.if_else(pc.is_in(ids, complete), EmbeddingStatus.COMPLETE.value, otherwise)
