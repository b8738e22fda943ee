"""Rows of `chunks`, which phase 1 makes of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.errors import StoreError
from code_index.tables.embedding_errors import ErrorRows
from code_index.tables.lance_tables import LanceTables, projected
from code_index.tables.row_checks import conform, refuse_duplicates, shortened, timestamp
from code_index.tables.schemas import CHUNKS
from code_index.tables.sql import is_in, sql_literal
from code_index.tables.table_names import CHUNKS_TABLE

_KEYS = ("chunk_id",)
_LONGEST_CONDITION = 20_000  # ids; beyond, reading all rows and picking is quicker than a condition
_SCAN_BATCH = 65_536
_KEPT = ("chunk_id", "created_at", "embedding_batch_id")


class ChunkRows:
    """Read and write `chunks`; key: chunk_id."""

    def __init__(self, tables: LanceTables, errors: ErrorRows) -> None:
        self._tables = tables
        self._errors = errors

    def read(
        self, columns: Sequence[str] | None = None, where: str | None = None, limit: int | None = None
    ) -> pa.Table:
        """Read rows of `chunks`, in no order; `where` is an SQL condition. For whole tables see `iter_read`."""
        return self._tables.read(CHUNKS_TABLE, CHUNKS, columns=columns, where=where, limit=limit)

    def iter_read(
        self, columns: Sequence[str] | None = None, where: str | None = None, batch_size: int = 8_192
    ) -> Iterator[pa.RecordBatch]:
        """Read the same as batches of one version of the table; memory stays flat."""
        return self._tables.iter_read(CHUNKS_TABLE, CHUNKS, columns=columns, where=where, batch_size=batch_size)

    def count(self) -> int:
        """Count the rows."""
        return self._tables.count(CHUNKS_TABLE)

    def by_ids(self, chunk_ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Read the chunks with these ids, in the order of `chunk_ids`; ids that are not in the table are left out."""
        wanted = list(columns or CHUNKS.names)
        found = self._with_ids(chunk_ids, list(dict.fromkeys(["chunk_id", *wanted])))
        places = pc.index_in(pa.array(chunk_ids, pa.string()), found.column("chunk_id").combine_chunks())
        return found.take(places.drop_null()).select(wanted)

    def _with_ids(self, chunk_ids: Sequence[str], columns: Sequence[str]) -> pa.Table:
        if len(chunk_ids) <= _LONGEST_CONDITION:
            return self.read(columns, is_in("chunk_id", chunk_ids))
        wanted = pa.array(chunk_ids, pa.string())
        batches = self.iter_read(columns, batch_size=_SCAN_BATCH)
        found = [batch.filter(pc.is_in(batch.column("chunk_id"), wanted)) for batch in batches]
        return pa.Table.from_batches(found, projected(CHUNKS, columns))

    def of_batches(self, batch_ids: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Read the chunks of these embedding batches, ordered by batch, file and line."""
        wanted = list(columns or CHUNKS.names)
        order = ["embedding_batch_id", "file_path", "start_line", "chunk_id"]
        found = self.read(list(dict.fromkeys([*wanted, *order])), is_in("embedding_batch_id", batch_ids))
        return found.sort_by([(name, "ascending") for name in order]).select(wanted)

    def replace(
        self,
        file_paths: Sequence[str],
        chunks: pa.Table,
        *,
        now: datetime,
        assign_batch: Callable[[int], Sequence[int]] | None = None,
        is_only_writer: bool = False,
    ) -> None:
        """Make the rows of `file_paths` exactly `chunks`, in one commit; an empty table clears them. Repeatable.

        Rows whose chunk_id exists keep `created_at` and `embedding_batch_id`; `updated_at` becomes `now` for
        all rows written. `assign_batch` is called once with the number of rows that have no batch yet, in
        the order of `chunks`, and returns their batch ids, so that kept rows use up no numbers; without it new
        rows keep the batch of the source. With `is_only_writer`, rows of files that have none are appended, in a third of the
        time: an append does not notice another writer. `search_text` is stored in lower case: before there is a text index,
        LanceDB's search is case-sensitive. The errors of removed chunks are removed after the commit.

        Raises:
            StoreError: a chunk_id twice, a chunk of another file, or columns that do not fit.
        """
        rows = conform(chunks, CHUNKS, table=CHUNKS_TABLE)
        refuse_duplicates(rows, _KEYS, table=CHUNKS_TABLE)
        paths = list(dict.fromkeys(file_paths))
        _refuse_outsiders(rows, paths)
        if not paths:
            return
        in_slice = is_in("file_path", paths)
        known = self.read(list(_KEPT), in_slice)
        rows = _with_history(rows, known, now=now, assign_batch=assign_batch)
        ids, known_ids = rows.column("chunk_id"), known.column("chunk_id")
        gone = known_ids.filter(pc.invert(pc.is_in(known_ids, ids))).to_pylist()
        if is_only_writer and not known.num_rows:
            self._tables.append(CHUNKS_TABLE, CHUNKS, rows, keys=_KEYS, file_paths=paths)
        else:
            self._tables.merge(CHUNKS_TABLE, CHUNKS, rows, keys=_KEYS, replaces=in_slice, file_paths=paths)
        self._errors.forget(gone)

    def delete_by_file(self, file_paths: Sequence[str]) -> int:
        """Remove the chunks of these files and their errors; returns how many chunks there were."""
        in_slice = is_in("file_path", file_paths)
        gone = self.read(["chunk_id"], in_slice).column("chunk_id").to_pylist()
        deleted = self._tables.delete(CHUNKS_TABLE, in_slice, file_paths=file_paths)
        self._errors.forget(gone)
        return deleted

    def move_to_batches(self, rows: pa.Table) -> int:
        """Move chunks (chunk_id, embedding_batch_id) to other batches, in one commit; returns how many there were."""
        return self._tables.update_matched(CHUNKS_TABLE, rows, keys=_KEYS)

    def max_batch_id(self, *, above: int = -1) -> int | None:
        """Find the highest embedding batch id in use that is higher than `above`; `None` when there is none."""
        ids = self.read(["embedding_batch_id"], f"embedding_batch_id > {sql_literal(above)}")
        highest: int | None = pc.max(ids.column("embedding_batch_id")).as_py()
        return highest


def _refuse_outsiders(rows: pa.Table, paths: Sequence[str]) -> None:
    inside = pc.is_in(rows.column("file_path"), pa.array(paths, pa.string()))
    outside = rows.column("file_path").filter(pc.invert(inside)).unique().to_pylist()
    if outside:
        raise StoreError(
            f"Chunks of {len(outside)} files outside the slice that is replaced: {shortened(outside)}. "
            "Name every file whose chunks are written."
        )


def _with_history(
    rows: pa.Table, known: pa.Table, *, now: datetime, assign_batch: Callable[[int], Sequence[int]] | None
) -> pa.Table:
    """Take created_at and embedding_batch_id from the known rows of the same id; new rows get the times of now."""
    stamp = timestamp(now)
    places = pc.index_in(rows.column("chunk_id").combine_chunks(), known.column("chunk_id").combine_chunks())
    created = pc.fill_null(known.column("created_at").combine_chunks().take(places), stamp)
    batches = known.column("embedding_batch_id").combine_chunks().take(places)
    batches = pc.coalesce(batches, rows.column("embedding_batch_id").combine_chunks())
    if assign_batch is not None and batches.null_count:
        batches = _assigned(batches, assign_batch)
    replaced = {
        "created_at": created,
        "updated_at": pa.repeat(stamp, rows.num_rows),
        "embedding_batch_id": batches,
        "search_text": pc.utf8_lower(rows.column("search_text")),
    }
    for name, column in replaced.items():
        rows = rows.set_column(rows.schema.get_field_index(name), CHUNKS.field(name), column)
    return rows


def _assigned(batches: pa.Array, assign_batch: Callable[[int], Sequence[int]]) -> pa.Array:
    wanted = batches.null_count
    given = list(assign_batch(wanted))
    if len(given) != wanted:
        raise StoreError(f"assign_batch gave {len(given)} batch ids for {wanted} chunks; give one for each")
    return pc.replace_with_mask(batches, pc.is_null(batches), pa.array(given, pa.int64()))
