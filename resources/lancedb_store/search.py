"""The two raw searches: by vector and by words. Fusing and ranking them is not done here.

Decisions: words go to LanceDB as a `MatchQuery`, which has no operators, so any input is safe.
The text index has neither stems nor stop words nor positions: identifiers are not English.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexing_assets.core.errors import StoreError
from resources.lancedb_store.chunks import ChunkRows
from resources.lancedb_store.part import CHUNKS_TABLE, VECTORS_TABLE
from resources.lancedb_store.schemas import CHUNKS
from resources.lancedb_store.sql import all_of, equals
from resources.lancedb_store.tables import projected
from resources.lancedb_store.vectors import VectorRows

METRIC = "cosine"  # of the index and of every query: an index of another metric is not used
SCORE = "score"
_VECTOR_COLUMNS = ("chunk_id", "file_path", "start_line", "end_line", "language", "chunk_type")
_TEXT_COLUMNS = _VECTOR_COLUMNS
_FEW_ROWS = 10_000  # picking and comparing that many vectors takes 40 ms, as much as asking the index
# Candidates whose exact score is computed, as a multiple of the limit: 10 gives recall@10 0.997 instead of
# 0.978 on 576,000 vectors with IVF_SQ. Beyond 300 candidates their reading is what a query waits for.
_REFINE_MAX, _REFINE_MIN, _REFINED_ROWS = 10, 2, 300


class SearchRows(ChunkRows, VectorRows):
    """Find chunks by vector and by words."""

    def vector_search(
        self,
        vector: np.ndarray,
        *,
        model: str,
        limit: int,
        where: str | None = None,
        exact: bool = False,
        columns: Sequence[str] = _VECTOR_COLUMNS,
    ) -> pa.Table:
        """The `limit` chunks whose vectors of `model` are nearest: `columns` and `score` (cosine, 1 is equal), best first.

        `where` holds for all results and never costs any: when few rows fit, they are compared one by one,
        and otherwise the index is asked for more until enough fit. `exact` leaves the index out.

        Raises:
            StoreError: the vector has another dimension than the table.
            UsageError: the vectors in use are of another model.
        """
        self.refuse_other_model(model)
        wanted = projected(self._schema(), columns)
        query_vector = np.asarray(vector, dtype=np.float32).reshape(-1)
        dimension = self.vector_dimension()
        if self.tables.open(VECTORS_TABLE) is None or dimension is None or limit < 1:
            return _scored(wanted.empty_table(), pa.array([], pa.float32()))
        if query_vector.size != dimension:
            raise StoreError(
                f"The query has {query_vector.size} dimensions, table 'vectors' in {self.tables.directory} {dimension}: "
                "search with the model that the index was made with."
            )
        condition = all_of(where, None if self.holds_only(model) else equals("embedding_model", model))
        if not exact and condition is not None and (rows := self._fitting(condition, columns)) is not None:
            return _nearest(rows, query_vector, limit).select([*columns, SCORE])

        def search(table: Any) -> pa.Table:
            query = table.search(query_vector, vector_column_name="vector", query_type="vector")
            query = query.distance_type(METRIC).limit(limit).select([*columns, "_distance"])
            if condition is not None:
                query = query.where(condition).maximum_nprobes(0)  # 0: as many partitions as it takes
            query = query.bypass_vector_index() if exact else query.refine_factor(_refine_factor(limit))
            return query.to_arrow()

        found = self.tables.run(VECTORS_TABLE, search)
        return _scored(found.select(list(columns)), pc.subtract(pa.scalar(1, pa.float32()), found.column("_distance")))

    def text_search(
        self, query: str, *, limit: int, where: str | None = None, columns: Sequence[str] = _TEXT_COLUMNS
    ) -> pa.Table:
        """The `limit` chunks whose search_text fits the words best: `columns` and `score` (BM25), best first.

        `query` is words, split the way search_text is; quotes and operators mean nothing. Rows that are not
        indexed yet are found too, as is everything before there is an index.
        """
        wanted = projected(CHUNKS, columns)
        if self.tables.open(CHUNKS_TABLE) is None or limit < 1 or not query.strip():
            return _scored(wanted.empty_table(), pa.array([], pa.float32()))

        def search(table: Any) -> pa.Table:
            from lancedb.query import MatchQuery

            found = table.search(MatchQuery(query.lower(), "search_text"), query_type="fts")
            if where is not None:
                found = found.where(where)
            return found.limit(limit).select([*columns, "_score"]).to_arrow()

        found = self.tables.run(CHUNKS_TABLE, search)
        return _scored(found.select(list(columns)), found.column("_score"))

    def _fitting(self, condition: str, columns: Sequence[str]) -> pa.Table | None:
        """`columns`, chunk_id and vector of the rows that fit; `None` when they are many or moved meanwhile.

        Only where there is a vector index: without one LanceDB compares all rows that fit anyway.

        Picked by row id: with a condition that no scalar index answers LanceDB would read every vector of
        the table (0.8 s instead of 0.1 s on 576,000). Row ids hold for one version, so what was picked is
        compared with what was meant; a compaction in between leaves the query to the index.
        """
        if not self._has_vector_index():
            return None
        wanted = list(dict.fromkeys([*columns, "chunk_id", "vector"]))

        def pick(table: Any) -> pa.Table | None:
            found = table.search().where(condition).select(["chunk_id"]).with_row_id(True).limit(_FEW_ROWS + 1)
            rows = found.to_arrow()
            if rows.num_rows > _FEW_ROWS:
                return None
            if not rows.num_rows:
                return projected(self._schema(), wanted).empty_table()
            picked = table.take_row_ids(rows.column("_rowid").to_pylist()).select(wanted).to_arrow()
            meant = set(rows.column("chunk_id").to_pylist())
            return picked if set(picked.column("chunk_id").to_pylist()) == meant else None

        return self.tables.run(VECTORS_TABLE, pick)

    def _has_vector_index(self) -> bool:
        indexes = self.tables.run(VECTORS_TABLE, lambda table: list(table.list_indices()))
        return any("vector" in index.columns for index in indexes)


def _nearest(rows: pa.Table, query_vector: np.ndarray, limit: int) -> pa.Table:
    """The rows with the highest cosine, best first, with `score`."""
    values = np.asarray(rows.column("vector").combine_chunks().flatten()).reshape(-1, query_vector.size)
    lengths = np.linalg.norm(values, axis=1) * np.linalg.norm(query_vector)
    scores = (values @ query_vector) / np.maximum(lengths, np.finfo(np.float32).tiny)
    best = np.argsort(-scores, kind="stable")[:limit]
    return rows.take(pa.array(best)).append_column(SCORE, pa.array(scores[best], pa.float32()))


def _refine_factor(limit: int) -> int:
    return max(_REFINE_MIN, min(_REFINE_MAX, _REFINED_ROWS // limit))


def _scored(rows: pa.Table, scores: pa.Array) -> pa.Table:
    scored = rows.append_column(pa.field(SCORE, pa.float32()), scores)
    return scored.sort_by([(SCORE, "descending")]) if scored.num_rows else scored
