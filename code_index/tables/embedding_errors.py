"""Rows of `embedding_errors`: chunks that could not be embedded, and the number of attempts."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from code_index.tables.lance_tables import LanceTables
from code_index.tables.row_checks import conform
from code_index.tables.schemas import EMBEDDING_ERRORS
from code_index.tables.sql import all_of, equals, is_in
from code_index.tables.table_names import ERRORS_TABLE

_KEYS = ("chunk_id", "embedding_model")


class ErrorRows:
    """Read and write `embedding_errors`; key: chunk_id and embedding_model."""

    def __init__(self, tables: LanceTables) -> None:
        self._tables = tables

    def read(self, model: str | None = None) -> pa.Table:
        """Read the errors of one model, or of all."""
        where = None if model is None else equals("embedding_model", model)
        return self._tables.read(ERRORS_TABLE, EMBEDDING_ERRORS, where=where)

    def record(self, rows: pa.Table) -> None:
        """Insert errors, or overwrite those of the same chunk and model; attempts add up.

        `rows` needs chunk_id, embedding_model, error_message and failed_at; `attempts`
        (1 when absent) is added to the attempts on record.
        """
        rows = conform(rows, EMBEDDING_ERRORS, table=ERRORS_TABLE)
        if not rows.num_rows:
            return
        known = self._tables.read(
            ERRORS_TABLE,
            EMBEDDING_ERRORS,
            columns=[*_KEYS, "attempts"],
            where=is_in("chunk_id", rows.column("chunk_id").to_pylist()),
        )
        places = pc.index_in(_joined(rows), _joined(known))
        before = pc.fill_null(known.column("attempts").combine_chunks().take(places), 0)
        attempts = pc.add(before, pc.fill_null(rows.column("attempts").combine_chunks(), 1))
        place = rows.schema.get_field_index("attempts")
        rows = rows.set_column(place, EMBEDDING_ERRORS.field("attempts"), attempts.cast(pa.int32()))
        self._tables.merge(ERRORS_TABLE, EMBEDDING_ERRORS, rows, keys=_KEYS)

    def clear(self, chunk_ids: Sequence[str] | None = None, model: str | None = None) -> int:
        """Remove the errors of these chunks (all for `None`) and that model (all for `None`); returns how many."""
        where = all_of(
            None if chunk_ids is None else is_in("chunk_id", chunk_ids),
            None if model is None else equals("embedding_model", model),
        )
        return self._tables.delete(ERRORS_TABLE, where or "true")

    def forget(self, chunk_ids: Sequence[str]) -> None:
        """Remove the errors of removed chunks; quick where there are no errors."""
        if chunk_ids and self._tables.count(ERRORS_TABLE):
            self.clear(chunk_ids)


def _joined(rows: pa.Table) -> pa.Array:
    # A chunk_id is hex digits: "@" ends it.
    joined = pc.binary_join_element_wise(rows.column("chunk_id"), rows.column("embedding_model"), "@")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
