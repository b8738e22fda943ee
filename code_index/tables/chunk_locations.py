"""Locations of chunks, kept in memory by a process that goes on searching.

Belongs here: the short columns of all chunks at one version of the tables, found by row id. Does not belong here:
docstrings and contents, which a search reads for the hits that it shows.

Decision: a hybrid search over 576,000 chunks spent more than half of its processor time on reading three short
columns of 200 candidates and eight of ten hits, a read for each value (docs/performance.md). A version is loaded when
searches have found it unchanged for some seconds: a process that asks once never pays for it, and beside
a writer that commits all the time searches read the tables. About 120 bytes a chunk. Rejected: a cache
of single rows (few are asked for twice), and row ids kept across versions (LanceDB promises nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMNS = (
    "file_path",
    "file_hash",
    "start_line",
    "end_line",
    "language",
    "chunk_type",
    "function_name",
    "class_name",
    "subproject_name",
)
"""Columns of `chunks` that are kept beside chunk_id."""
_ROW_ID = "_rowid"


@dataclass(frozen=True, slots=True)
class ChunkLocations:
    """The chunks of one version of `chunks`, by row id and by chunk_id."""

    _row_ids: npt.NDArray[np.uint64]  # ascending
    _ids: npt.NDArray[np.bytes_]  # chunk_id of each
    _by_id: npt.NDArray[np.intp]  # positions in the order of chunk_id
    _columns: pa.Table

    def positions_of_rows(self, row_ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp] | None:
        """Find rows by row id; `None` when one is unknown."""
        return _found(self._row_ids, row_ids, None)

    def positions_of_ids(self, chunk_ids: npt.NDArray[np.bytes_]) -> npt.NDArray[np.intp] | None:
        """Find chunks by chunk_id; `None` when one is unknown."""
        return _found(self._ids, chunk_ids, self._by_id)

    def row_ids(self, positions: npt.NDArray[np.intp]) -> list[int]:
        """Row ids of the chunks at these positions."""
        found: list[int] = self._row_ids[positions].tolist()
        return found

    def rows(self, positions: npt.NDArray[np.intp], columns: Sequence[str]) -> pa.Table:
        """`columns` (of `COLUMNS`, and chunk_id) of the chunks at these positions, in that order."""
        taken = self._columns.select([name for name in columns if name != "chunk_id"]).take(pa.array(positions))
        decoded = {"chunk_id": pa.array([chunk_id.decode() for chunk_id in self._ids[positions].tolist()], pa.string())}
        for name in taken.column_names:
            column = taken.column(name).combine_chunks()
            decoded[name] = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        return pa.table({name: decoded[name] for name in columns})


@dataclass(frozen=True, slots=True)
class VectorLocations:
    """The vectors of one version of `vectors`, by row id."""

    _row_ids: npt.NDArray[np.uint64]  # ascending
    _ids: npt.NDArray[np.bytes_]

    def chunk_ids(self, row_ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.bytes_] | None:
        """chunk_id of rows; `None` when one is unknown."""
        positions = _found(self._row_ids, row_ids, None)
        return None if positions is None else self._ids[positions]


def locate_chunks(batches: Sequence[pa.RecordBatch]) -> ChunkLocations:
    """Locate all rows of `chunks`; `batches` hold chunk_id, `COLUMNS` and row id."""
    rows = pa.concat_tables([_compact(batch) for batch in batches]).unify_dictionaries().sort_by(_ROW_ID)
    ids = encoded(rows.column("chunk_id").to_pylist())
    return ChunkLocations(
        _row_ids=rows.column(_ROW_ID).to_numpy().astype(np.uint64),
        _ids=ids,
        _by_id=np.argsort(ids, kind="stable"),
        _columns=rows.drop_columns(["chunk_id", _ROW_ID]).combine_chunks(),
    )


def locate_vectors(batches: Sequence[pa.RecordBatch]) -> VectorLocations:
    """Locate all rows of `vectors`; `batches` hold chunk_id and row id."""
    rows = pa.Table.from_batches(batches).sort_by(_ROW_ID)
    return VectorLocations(
        _row_ids=rows.column(_ROW_ID).to_numpy().astype(np.uint64), _ids=encoded(rows.column("chunk_id").to_pylist())
    )


def encoded(chunk_ids: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Encode chunk_ids as `ChunkLocations` compares them."""
    return np.asarray([chunk_id.encode() for chunk_id in chunk_ids], dtype=np.bytes_)


def _compact(batch: pa.RecordBatch) -> pa.Table:
    """Encode texts that repeat as numbers."""
    rows = pa.Table.from_batches([batch])
    for at, field in enumerate(rows.schema):
        if field.name != "chunk_id" and pa.types.is_string(field.type):
            rows = rows.set_column(at, field.name, rows.column(at).dictionary_encode())
    return rows


def _found(
    known: npt.NDArray[Any], wanted: npt.NDArray[Any], order: npt.NDArray[np.intp] | None
) -> npt.NDArray[np.intp] | None:
    """Position of each wanted value in `known` (ascending, or so in `order`); `None` when one is not there."""
    if not len(known) or not len(wanted):
        return np.zeros(0, np.intp) if not len(wanted) else None
    at = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    positions = at if order is None else order[at]
    return positions if (known[positions] == wanted).all() else None
