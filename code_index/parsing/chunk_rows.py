"""Chunks and names as rows of the tables `chunks` and `references`, without the columns that the store adds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import pyarrow as pa

from code_index.core.identifiers import full_text
from code_index.core.model import Chunk, FileName
from code_index.tables.schemas import PARSED_CHUNKS, REFERENCES


def chunks_to_batch(chunks: Sequence[Chunk]) -> pa.RecordBatch:
    """Rows of `PARSED_CHUNKS`, in the order of `chunks`.

    Column by column over many files at once: a call for each column costs as much as the values of ten chunks.
    """
    values = zip(*chunks, strict=True) if chunks else [()] * len(Chunk._fields)
    columns: dict[str, Sequence[Any]] = dict(zip(Chunk._fields, values, strict=True))
    columns["search_text"] = [
        full_text(file_path=path, qualified_name=name, content=content)
        for path, name, content in zip(columns["file_path"], columns["qualified_name"], columns["content"], strict=True)
    ]
    return pa.RecordBatch.from_arrays(
        [_array(columns[field.name], field.type) for field in PARSED_CHUNKS], schema=PARSED_CHUNKS
    )


def names_to_batch(names: Sequence[FileName]) -> pa.RecordBatch:
    """Rows of `REFERENCES`, in the order of `names`."""
    values = zip(*names, strict=True) if names else [()] * len(FileName._fields)
    columns: dict[str, Sequence[Any]] = dict(zip(FileName._fields, values, strict=True))
    return pa.RecordBatch.from_arrays(
        [_array(columns[field.name], field.type) for field in REFERENCES], schema=REFERENCES
    )


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_list(kind):
        return pa.array(values, type=kind)
    # One array for the items of all lists: pyarrow's own way through nested lists takes four times as long.
    offsets = pa.array(accumulate(map(len, values), initial=0), type=pa.int32(), size=len(values) + 1)
    return pa.ListArray.from_arrays(offsets, _items(chain.from_iterable(values), kind.value_type), type=kind)


def _items(items: Iterable[Any], kind: pa.DataType) -> pa.Array:
    if not pa.types.is_struct(kind):
        return pa.array(list(items), type=kind)
    records = list(map(attrgetter(*[field.name for field in kind]), items))
    columns = zip(*records, strict=True) if records else [()] * kind.num_fields
    return pa.StructArray.from_arrays(
        [pa.array(column, type=field.type) for column, field in zip(columns, kind, strict=True)], fields=list(kind)
    )
