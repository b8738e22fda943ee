"""The table of a single-table index, read file by file in bounded memory.

Belongs here: the content of the table and its faults; nothing here writes. Does not belong here: the meaning of a row
(`indexing_assets.operations.migration.old_index.rows`).

Rows of a file may lie anywhere in the table. The survey keeps a row's number and its file, 12 bytes a row; the rows
themselves are then fetched by number, some thousand at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.errors import MigrationError, is_panic
from code_index.core.unit_vectors import vector_lengths
from code_index.tables.lancedb_import import load_lancedb
from indexing_assets.operations.migration.old_index.containment import refuse_leading_out
from indexing_assets.operations.migration.old_index.layout import TABLE
from indexing_assets.operations.migration.old_index.rows import FLOATS, IDS, INTEGERS, OPTIONAL, REQUIRED

_SURVEY_ROWS = 65_536
_MAX_COLUMNS = 1_000
_MAX_LINE = 2**31 - 1  # as the new tables hold it
_SLIM = ("file_path", "start_line", "end_line", "chunk_type")


@dataclass(slots=True)
class Survey:
    """Content of a table: paths as stored, and for each usable row its path (an index into `paths`) and number.

    `unusable` counts rows by reason that cannot become chunks; `repeated_ids` the ids that stand in several rows.
    """

    rows: int
    dimension: int | None
    paths: list[str] = field(default_factory=list)
    path_of: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    row_ids: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    unusable: Counter[str] = field(default_factory=Counter)
    repeated_ids: int = 0


class OldTable:
    """The table `code_search` of a folder."""

    def __init__(self, folder: Path) -> None:
        """Open the table.

        Raises:
            MigrationError: it cannot be opened, as when it was half written, leads to files elsewhere, or lacks columns
                or has others than such a table has.
        """
        self.folder = folder
        refuse_leading_out(folder, folder / f"{TABLE}.lance")
        with self._plain_errors():
            connection = load_lancedb().connect(str(folder), read_consistency_interval=timedelta(0))
            self._table = connection.open_table(TABLE)
            self.schema: pa.Schema = self._table.schema
        missing = [name for name in REQUIRED if name not in self.schema.names]
        if not set(IDS) & set(self.schema.names):
            missing.append(" or ".join(IDS))
        if missing:
            raise MigrationError(
                f"{folder / TABLE}.lance lacks the column {', '.join(missing)}: it is no single-table index that "
                "this program knows. Index the repository from scratch with `code-index index`; nothing was touched."
            )
        wrong = _wrong_types(self.schema)
        if wrong or len(self.schema) > _MAX_COLUMNS:
            raise MigrationError(
                f"{folder / TABLE}.lance has {', '.join(wrong) or f'{len(self.schema)} columns'}: it is no single-table "
                "index that this program knows. Index the repository from scratch with `code-index index`; nothing was "
                "touched."
            )
        self._columns = [name for name in (*REQUIRED, *IDS, *OPTIONAL) if name in self.schema.names]

    @property
    def dimension(self) -> int | None:
        """Components of the vectors; None where rows may differ."""
        found = self.schema.field("vector").type
        return int(found.list_size) if pa.types.is_fixed_size_list(found) else None

    def survey(self) -> Survey:
        """Read the slim columns once.

        Raises:
            MigrationError: the table's files are damaged or missing.
        """
        with self._plain_errors():
            survey = Survey(rows=int(self._table.count_rows()), dimension=self.dimension)
        number_of: dict[str, int] = {}
        codes: list[npt.NDArray[np.int32]] = []
        numbers: list[npt.NDArray[np.uint64]] = []
        hashes: list[npt.NDArray[np.uint64]] = []
        identity = next(name for name in IDS if name in self.schema.names)
        read = 0
        for batch in self._stream([*_SLIM, identity], survey.rows):
            read += batch.num_rows
            bad = np.zeros(batch.num_rows, bool)
            for reason, mask in _faults(batch):
                fresh = mask & ~bad
                survey.unusable[reason] += int(fresh.sum())
                bad |= mask
            good = batch.filter(pa.array(~bad))
            encoded = good.column("file_path").dictionary_encode()
            of_batch = [number_of.setdefault(path, len(number_of)) for path in encoded.dictionary.to_pylist()]
            codes.append(np.asarray(of_batch, np.int32)[np.asarray(encoded.indices)])
            numbers.append(np.asarray(good.column("_rowid")).astype(np.uint64))
            hashes.append(
                np.array([hash(i) & 0xFFFF_FFFF_FFFF_FFFF for i in good.column(identity).to_pylist()], np.uint64)
            )
        if read != survey.rows:
            raise MigrationError(f"{self.folder / TABLE}.lance says it has {survey.rows} rows, but {read} can be read.")
        survey.unusable = +survey.unusable
        survey.paths = list(number_of)
        if codes:
            survey.path_of = np.concatenate(codes)
            survey.row_ids = np.concatenate(numbers)
            known = np.concatenate(hashes)
            survey.repeated_ids = int(known.size - np.unique(known).size)
        return survey

    def fetch(self, row_ids: npt.NDArray[np.uint64], columns: list[str] | None = None) -> pa.Table:
        """Fetch rows by number, in any order; the column `_rowid` says which is which.

        Raises:
            MigrationError: the table's files are damaged or missing.
        """
        wanted = columns or self._columns
        with self._plain_errors():
            query = self._table.take_row_ids(row_ids.tolist()).with_row_id()
            rows: pa.Table = query.select(wanted).to_arrow()
        if rows.num_rows != row_ids.size:
            raise MigrationError(
                f"{self.folder / TABLE}.lance gave {rows.num_rows} of {row_ids.size} rows that it has: it is damaged."
            )
        return rows

    def _stream(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        if not rows:
            return
        with self._plain_errors():
            query = self._table.search().select(columns).with_row_id(True)
            batches = iter(query.to_batches(_SURVEY_ROWS))
        while True:
            with self._plain_errors():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _plain_errors(self) -> _PlainErrors:
        return _PlainErrors(self.folder)


def _wrong_types(schema: pa.Schema) -> list[str]:
    """Name the columns, of those that are read, whose type is another than such a table gives them."""
    wrong = []
    for name in (*REQUIRED, *IDS, *OPTIONAL):
        places = schema.get_all_field_indices(name)
        if len(places) > 1:
            wrong.append(f"the column {name} {len(places)} times")
        elif places and not pa.types.is_null(found := schema.field(places[0]).type) and not _fits(name, found):
            wrong.append(f"a column {name} of type {str(found)[:60]}")
    return wrong


def _fits(name: str, found: pa.DataType) -> bool:
    if name == "vector":
        listed = pa.types.is_list(found) or pa.types.is_large_list(found) or pa.types.is_fixed_size_list(found)
        return bool(listed and pa.types.is_floating(found.value_type))
    if name in INTEGERS:
        return bool(pa.types.is_integer(found))
    if name in FLOATS:
        return bool(pa.types.is_floating(found) or pa.types.is_integer(found))
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


class _PlainErrors:
    """LanceDB's errors as one of ours, which names the damaged table and the way out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Native code panics at what no writer of such a table writes.
        if isinstance(error, Exception) or (error is not None and is_panic(error)):
            reason = str(error).splitlines()[0][:300] if str(error) else repr(error)
            raise MigrationError(
                f"{self._folder / TABLE}.lance cannot be read: {reason}. It is damaged or half written. "
                "Restore it from a backup, or index the repository from scratch with `code-index index`; nothing was touched."
            ) from error


def _faults(batch: pa.RecordBatch) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Reason and mask of the rows that cannot become chunks."""
    empty_path = pc.fill_null(pc.equal(batch.column("file_path"), ""), True)
    yield "no file path", np.asarray(empty_path)
    starts, ends = batch.column("start_line"), batch.column("end_line")
    valid = pc.and_kleene(pc.greater_equal(starts, 0), pc.greater_equal(ends, starts))
    valid = pc.and_kleene(valid, pc.less_equal(ends, _MAX_LINE))
    yield "no lines, or lines that run backwards", ~np.asarray(pc.fill_null(valid, False))


def matrix_of(rows: pa.Table, dimension: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Read the vectors of rows, (n, dimension) float32 as stored, and tell which of them can be used.

    A vector that is null, of another length, not finite or all zeros cannot; its row is zero.
    """
    column: Any = rows.column("vector").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), -1))
    usable = (lengths == dimension) & np.asarray(pc.is_valid(column))
    values = np.zeros((rows.num_rows, dimension), np.float32)
    kept = column.filter(pa.array(usable))
    flat = kept.flatten().cast(pa.float32())
    values[usable] = np.asarray(pc.fill_null(flat, float("nan"))).reshape(-1, dimension)
    norms = vector_lengths(values)
    usable &= np.isfinite(norms) & (norms > 0)
    values[~usable] = 0
    return values, usable
