"""Tables of any schema, written whole or slice by slice.

Belongs here: tables of the IO manager, beyond the fixed tables of the index.

Decision: a slice is replaced in one commit even where rows have no key of their own. Such tables
have a row id, new with each write: the merge then finds no match, inserts all rows, and
deletes the slice's old ones. Delete and append would be two commits, with an empty slice between.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from code_index.core.errors import StoreError
from code_index.tables.lance_tables import LanceTables
from code_index.tables.row_checks import conform, refuse_duplicates
from code_index.tables.schema_version import write_version
from code_index.tables.schemas import with_primary_key
from code_index.tables.table_names import INDEX_TABLES

WriteMode = Literal["overwrite", "append", "upsert"]
ROW_ID = "_row_id"


@dataclass(frozen=True, slots=True)
class Write:
    """Mode of a write: `slice_where` is the slice that an overwrite replaces (`None`: all), `keys` identify rows."""

    mode: WriteMode = "overwrite"
    keys: tuple[str, ...] = ()
    slice_where: str | None = None


class SliceTables:
    """Write and read tables whose schema comes with their rows."""

    def __init__(self, tables: LanceTables) -> None:
        self.tables = tables

    def write(self, name: str, rows: pa.Table, how: Write) -> int:
        """Write rows in one commit; returns the table's version after it.

        Columns that the table lacks are added to it, columns that the rows lack become null. An overwrite
        of the whole table takes the schema of the rows.

        Raises:
            StoreError: the table is one of the index's own; an upsert without keys, duplicate keys, or columns
                that do not fit the table's.
        """
        if name in INDEX_TABLES:
            raise StoreError(f"Table {name!r} is the index's own: name another one in the metadata 'table'")
        if how.mode == "upsert" and not how.keys:
            raise StoreError(f"Table {name!r}: mode 'upsert' needs the metadata 'key', the column that identifies rows")
        absent = [key for key in how.keys if key not in rows.column_names]
        if absent:
            raise StoreError(f"Rows for table {name!r} lack the key column {', '.join(map(repr, absent))}")
        if how.keys:
            refuse_duplicates(rows, how.keys, table=name)
        else:
            rows = _with_row_ids(rows)
        keys = how.keys or (ROW_ID,)
        if how.mode == "overwrite" and how.slice_where is None:
            return self._overwrite(name, rows, keys)
        schema = self._schema_for(name, rows, keys)
        if how.mode == "append":
            return self._append(name, rows, schema, keys)
        replaces = how.slice_where if how.mode == "overwrite" else None
        return self.tables.merge(name, schema, rows, keys=keys, replaces=replaces)

    def schema(self, name: str) -> pa.Schema | None:
        """Return the columns of the table as its writers know them; `None` when there is no table."""
        if (stored := self.tables.schema(name)) is None:
            return None
        return pa.schema([field.remove_metadata() for field in stored if field.name != ROW_ID])

    def read(self, name: str, columns: Sequence[str], where: str | None) -> Iterator[pa.RecordBatch]:
        """Read rows of one version of the table, as a stream."""
        schema = self.schema(name)
        if schema is None:
            raise StoreError(f"There is no table {name!r} in {self.tables.where}")
        return self.tables.iter_read(name, schema, columns=columns, where=where)

    def _overwrite(self, name: str, rows: pa.Table, keys: Sequence[str]) -> int:
        schema = with_primary_key(_keyed(rows.schema, keys), keys)
        rows = conform(rows, schema, table=name)
        if self.tables.open(name) is None:
            write_version(self.tables.where)
        return self.tables.create(name, rows)

    def _append(self, name: str, rows: pa.Table, schema: pa.Schema, keys: Sequence[str]) -> int:
        self.tables.open_or_create(name, schema, keys=keys)
        rows = conform(rows, schema, table=name)
        return int(self.tables.run(name, lambda table: table.add(rows)).version)

    def _schema_for(self, name: str, rows: pa.Table, keys: Sequence[str]) -> pa.Schema:
        if (stored := self.tables.schema(name)) is None:
            return _keyed(rows.schema, keys)
        if ROW_ID in stored.names and ROW_ID not in keys:
            raise StoreError(f"Table {name!r} was written without the key {list(keys)}; overwrite it whole once")
        if ROW_ID in keys and ROW_ID not in stored.names:
            raise StoreError(f"Table {name!r} was written with a key; name it in the metadata 'key'")
        added = [field for field in rows.schema if field.name not in stored.names]
        return pa.schema([*(field.remove_metadata() for field in stored), *added])


def _keyed(schema: pa.Schema, keys: Sequence[str]) -> pa.Schema:
    return pa.schema([field.with_nullable(False) if field.name in keys else field for field in schema])


def _with_row_ids(rows: pa.Table) -> pa.Table:
    write = uuid.uuid4().hex
    ids = pa.array([f"{write}-{place}" for place in range(rows.num_rows)], pa.string())
    return rows.append_column(pa.field(ROW_ID, pa.string(), nullable=False), ids)
