"""Checks of Arrow rows on their way into a table.

Belongs here: checks that need no table. LanceDB itself inserts duplicate keys of one source
without a word and takes any column order; rows that it would accept wrongly are refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.errors import StoreError

_NAMED_CULPRITS = 5


def conform(rows: pa.Table, schema: pa.Schema, *, table: str) -> pa.Table:
    """Bring `rows` to exactly the columns and types of `schema`; absent nullable columns become nulls.

    Raises:
        StoreError: a column is unknown, a key column is absent or holds nulls, or a type does not fit.
    """
    unknown = [name for name in rows.column_names if name not in schema.names]
    if unknown:
        raise StoreError(f"Table {table!r} has no column {', '.join(map(repr, unknown))}; it has {schema.names}")
    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            if not field.nullable:
                raise StoreError(f"Rows for table {table!r} lack the key column {field.name!r}")
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = rows.column(field.name)
        if not field.nullable and column.null_count:
            raise StoreError(f"Key column {field.name!r} of rows for table {table!r} holds {column.null_count} nulls")
        try:
            columns.append(column if column.type == field.type else column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise StoreError(f"Column {field.name!r} of rows for table {table!r}: {error}") from error
    return pa.table(columns, schema=schema)


def refuse_duplicates(rows: pa.Table, keys: Sequence[str], *, table: str) -> None:
    """Refuse rows that hold a key twice.

    Raises:
        StoreError: with up to five of the keys.
    """
    counts = rows.select(list(keys)).group_by(list(keys)).aggregate([([], "count_all")])
    if counts.num_rows == rows.num_rows:
        return
    repeated = counts.filter(pc.greater(counts.column("count_all"), 1)).select(list(keys)).to_pylist()
    raise StoreError(
        f"Rows for table {table!r} hold {len(repeated)} keys more than once: "
        f"{shortened(['/'.join(str(row[key]) for key in keys) for row in repeated])}. Give each key one row."
    )


def shortened(names: Sequence[str]) -> str:
    """List the first five names, and how many more there are."""
    more = len(names) - _NAMED_CULPRITS
    return ", ".join(names[:_NAMED_CULPRITS]) + (f" and {more} more" if more > 0 else "")


def timestamp(now: datetime) -> pa.Scalar:
    """Convert a point in time to the tables' type: microseconds, UTC.

    Raises:
        ValueError: `now` has no time zone; taking it for UTC would be a guess.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now!r} has no time zone; pass an aware datetime")
    return pa.scalar(now, pa.timestamp("us", tz="UTC"))
