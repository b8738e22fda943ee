"""Tables of rows in the four shapes that assets return and ask for.

Belongs here: Arrow table, Arrow batch reader, Polars frame and lazy frame, into and out of Arrow.
Streams are staged in a file first: bad rows are refused before anything is written, and a
write that lost a race can be retried.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from code_index.core.errors import StoreError
from code_index.tables.lance_tables import STAGED_PREFIX

Frame: TypeAlias = pa.Table | pa.RecordBatchReader | pl.DataFrame | pl.LazyFrame
FRAME_TYPES: tuple[type, ...] = (pa.Table, pa.RecordBatchReader, pl.DataFrame, pl.LazyFrame)

Read = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


@contextmanager
def as_arrow(frame: Frame, staging: Path) -> Iterator[pa.Table]:
    """Convert the frame to an Arrow table; streams are staged in a file under `staging` and mapped, not held in memory.

    Raises:
        StoreError: the object is none of the four shapes.
    """
    if isinstance(frame, pa.Table):
        yield _plain(frame)
    elif isinstance(frame, pl.DataFrame):
        yield _plain(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    elif isinstance(frame, pa.RecordBatchReader | pl.LazyFrame):
        staging.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=STAGED_PREFIX, dir=staging) as file:
            if isinstance(frame, pl.LazyFrame):
                frame.sink_ipc(file.name, compat_level=pl.CompatLevel.oldest())
            else:
                _spool(frame, file.name)
            with pa.memory_map(file.name) as source:
                yield _plain(pa.ipc.open_file(source).read_all())
    else:
        raise StoreError(
            f"{type(frame).__name__} cannot be stored as a table; return a PyArrow Table or RecordBatchReader, "
            "or a Polars DataFrame or LazyFrame."
        )


def from_batches(kind: Any, schema: pa.Schema, read: Read) -> Any:
    """Return rows in the shape `kind`. `read(columns)` starts a scan; lazy shapes call it when they are consumed."""
    if kind is pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(schema, read(schema.names))
    if kind is pl.LazyFrame:
        return _lazy(schema, read)
    return from_arrow(kind, pa.Table.from_batches(read(schema.names), schema))


def from_arrow(kind: Any, table: pa.Table) -> Any:
    """Return rows that are in memory already in one of the two eager shapes."""
    return pl.DataFrame(table) if kind is pl.DataFrame else table


def _lazy(schema: pa.Schema, read: Read) -> pl.LazyFrame:
    def scan(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = rows
        wanted = schema.names if columns is None else columns
        for batch in read(wanted):
            frame = pl.DataFrame(batch).select(wanted)
            frame = frame if left is None else frame.head(left)
            left = None if left is None else left - len(frame)
            yield frame if predicate is None else frame.filter(predicate)
            if left == 0:
                return

    return register_io_source(scan, schema=dict(pl.DataFrame(schema.empty_table()).schema))


def _spool(reader: pa.RecordBatchReader, path: str) -> None:
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _plain(rows: pa.Table) -> pa.Table:
    """Convert columns to types that Lance stores: dictionaries are decoded, string views become strings."""
    fields = [field.with_type(_plain_type(field.type)) for field in rows.schema]
    schema = pa.schema([pa.field(field.name, field.type, field.nullable) for field in fields])
    return rows.replace_schema_metadata(None) if schema == rows.schema else rows.cast(schema)


def _plain_type(data_type: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(data_type):
        return _plain_type(data_type.value_type)
    if pa.types.is_string_view(data_type):
        return pa.string()
    if pa.types.is_binary_view(data_type):
        return pa.binary()
    return data_type
