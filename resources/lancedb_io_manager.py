"""Dagster assets as LanceDB tables.

Belongs here: the translation of a Dagster context to a table, a slice of it, and metadata. Does not
belong here: writing tables (`code_index.tables.slices`) and the meaning of rows.

Decision: one table per asset, with the partition key in a column, not one table per partition: a
commit can then replace many partitions at once, and 60,000 partitions need one table.
"""

import tempfile
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import polars as pl
import pyarrow as pa
from pydantic import Field

from code_index.core.addresses import Bucket, as_uri
from code_index.core.errors import StoreError
from code_index.core.partition_keys import batch_id_of, batch_partition_key
from code_index.tables.frames import FRAME_TYPES, as_arrow, from_arrow, from_batches
from code_index.tables.lance_tables import LanceTables
from code_index.tables.row_checks import shortened
from code_index.tables.slices import SliceTables, Write, WriteMode
from code_index.tables.sql import all_of, equals, is_in
from resources.index_resource import IndexResource, named_indexes

Context: typing.TypeAlias = dg.OutputContext | dg.InputContext


class LanceDBIOManager(dg.ConfigurableIOManager):
    """LanceDB tables for the values that assets return, loaded in the shape of the input's annotation.

    Shapes, in and out: PyArrow `Table` and `RecordBatchReader`, Polars `DataFrame` and `LazyFrame`; an
    input may also be a `dict` of one of them by partition key. Inputs without annotation are `Table`s.

    Metadata of an asset (or of an op's output):

    - `table`: name of the table; by default `dagster/table_name`, else the asset key joined by `__`.
    - `partition_expr`: column that holds the partition key; for multi-partitions a mapping from
      dimension to column. Partitioned assets need it; where a single partition is written, a column that
      the rows lack is added. The index's own tables `chunks`, `references` and `vectors` have no such column: which rows are
      of a partition is looked up in `files` and `chunks`.
    - `mode`: `overwrite` (the output's partitions, or the whole table), `append` or `upsert`.
    - `key`: column or columns that identify a row; `upsert` needs it.

    Metadata of an input: `columns` to read, `allow_missing_partitions`.
    """

    # Not a nested `IndexResource`: Dagster 1.13 warns of deprecation where resources nest.
    repository_root: str = Field(default="", description="Repository of the index, as in `IndexResource`.")
    index_dir: str = Field(default="", description="Folder of the index, as in `IndexResource`.")
    indexes: dict[str, Any] = Field(
        default={},
        description="Indexes by name, as in `IndexResource`. A single one takes all assets, whatever their keys.",
    )
    tables_dir: str = Field(
        default="",
        description="Folder for the tables, created with the first write. Empty: that of the index's tables; in a "
        "deployment of several, of the index that the asset's key begins with.",
    )
    mode: WriteMode = Field(default="overwrite", description="Write mode of assets whose metadata names none.")

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write the output in one commit and describe the table in the output's metadata.

        Raises:
            StoreError: the shape is unknown, rows lie outside the output's partitions, or the table refuses.
        """
        asset = self._asset_table(context)
        if obj is None:
            raise StoreError(f"{asset.what} returned None; annotate it with `-> None` when nothing is to be stored")
        keys = _partition_keys(context)
        with as_arrow(obj, asset.where if isinstance(asset.where, Path) else Path(tempfile.gettempdir())) as frame:
            rows = frame
            where = None
            if keys is not None:
                columns = asset.partition_columns(context)
                rows = _within_partitions(rows, columns, keys, asset.what)
                where = _partition_condition(columns, map(_dimension_values, keys))
            version = asset.slices.write(asset.name, rows, Write(mode=asset.mode, keys=asset.keys, slice_where=where))
            written = rows.num_rows
        described = {**asset.describe(), "table_version": version, "rows_written": written}
        if keys is not None and len(keys) == 1:
            described["dagster/partition_row_count"] = written
        context.add_output_metadata(described)

    def load_input(self, context: dg.InputContext) -> Any:
        """The upstream asset's rows of the partitions that the run maps to, in the annotated shape.

        A partition without rows counts as missing when it was never materialized. All partitions of an asset
        without `partition_expr` are the whole table.

        Raises:
            StoreError: a partition or the whole table is missing and `allow_missing_partitions` is not set.
        """
        asset = self._asset_table(context)
        options = context.definition_metadata or {}
        allow_missing = bool(options.get("allow_missing_partitions", False))
        shape, by_partition = _shape_of(context.dagster_type.typing_type)
        schema = asset.slices.schema(asset.name)
        if schema is None and not allow_missing:
            raise StoreError(f"{asset.what} has no table {asset.name!r} in {asset.where}: materialize it first")
        keys = _partition_keys(context)
        if (
            keys is not None
            and asset.partition_expr is None
            and not by_partition
            and _is_every_partition(context, keys)
        ):
            keys = None
        rows_of = None if keys is None else asset.rows_of(context, keys)
        if keys is not None and rows_of is not None and not allow_missing:
            _refuse_missing(context, asset, rows_of, keys)
        wanted = pa.schema([]) if schema is None else _select(schema, options.get("columns"), asset.name)

        def load(some: _PartitionRows | None) -> Any:
            if schema is None:
                return from_batches(shape, wanted, lambda _columns: iter(()))
            return from_batches(shape, wanted, lambda names: asset.read(names, some))

        if not by_partition:
            return load(rows_of)
        if keys is None or rows_of is None:
            raise StoreError(f"{asset.what} has no partitions: annotate the input without dict")
        if schema is None or shape in (pa.RecordBatchReader, pl.LazyFrame):
            return {key: load(of_key) for key, of_key in rows_of.by_key(keys).items()}
        names = list(dict.fromkeys([*wanted.names, *rows_of.columns]))
        rows = pa.Table.from_batches(asset.read(names, rows_of), _select(schema, names, asset.name))
        pieces = _by_partition(rows, rows_of, keys)
        return {key: from_arrow(shape, piece.select(wanted.names)) for key, piece in pieces.items()}

    def _asset_table(self, context: Context) -> "_AssetTable":
        """The table of an output, or of an input's source, as metadata describe it."""
        source = context if isinstance(context, dg.OutputContext) else context.upstream_output or context
        metadata = {**(source.definition_metadata or {}), **(context.definition_metadata or {})}
        if context.has_asset_key:
            what, path = f"Asset {context.asset_key.to_user_string()!r}", list(context.asset_key.path)
        else:
            what, path = f"Output {source.name!r}", [source.name]
        mode = metadata.get("mode", self.mode)
        if mode not in get_args(WriteMode):
            raise StoreError(f"{what}: metadata 'mode' is {mode!r}; use one of {', '.join(get_args(WriteMode))}")
        key = metadata.get("key", ())
        folder, rest = (Path(self.tables_dir), path) if self.tables_dir else self._tables_of_index(path, what)
        return _AssetTable(
            what=what,
            slices=SliceTables(LanceTables(folder)),
            name=str(metadata.get("table") or metadata.get("dagster/table_name") or "__".join(rest)),
            mode=mode,
            keys=(key,) if isinstance(key, str) else tuple(key),
            partition_expr=metadata.get("partition_expr"),
        )

    def _tables_of_index(self, path: Sequence[str], what: str) -> tuple[Path | Bucket, Sequence[str]]:
        """The place of the index's tables, and the key without the index's name."""
        deployed = named_indexes(self.indexes)
        if not deployed:
            folder = IndexResource(repository_root=self.repository_root, index_dir=self.index_dir).folder()
        elif len(path) > 1 and path[0] in deployed:
            folder, path = deployed[path[0]].folder(), path[1:]
        elif len(self.indexes) == 1:
            folder = next(iter(deployed.values())).folder()
        else:
            raise StoreError(
                f"{what} belongs to none of the deployment's indexes: give it one of {', '.join(deployed)} as "
                "`key_prefix`, or an IO manager with a `tables_dir`."
            )
        folder.check()
        return folder.tables, path


@dataclass(frozen=True, slots=True)
class _PartitionRows:
    """The rows of some partitions of a table: which values of `columns` they have, and of which partition each is."""

    columns: tuple[str, ...]
    key_of: Mapping[tuple[Any, ...], str]

    def by_key(self, keys: Sequence[str]) -> dict[str, "_PartitionRows"]:
        """The same for each partition by itself."""
        values: dict[str, dict[tuple[Any, ...], str]] = {key: {} for key in keys}
        for parts, key in self.key_of.items():
            values[key][parts] = key
        return {key: _PartitionRows(self.columns, of_key) for key, of_key in values.items()}


def _of_file_versions(slices: SliceTables, keys: Sequence[str]) -> _PartitionRows:
    """Rows of `chunks` or `references` by partition: the manifest says which file version a key is."""
    columns = ("file_path", "file_hash")
    found = slices.read("files", [*columns, "partition_key"], is_in("partition_key", keys))
    return _PartitionRows(
        columns,
        {
            parts: key
            for batch in found
            for parts, key in zip(
                _partition_values(batch, columns), batch.column("partition_key").to_pylist(), strict=True
            )
        },
    )


def _of_batches(slices: SliceTables, keys: Sequence[str]) -> _PartitionRows:
    """Rows of `vectors` by partition of `chunk_vectors`: the chunks say which batch they are in."""
    found = slices.read(
        "chunks", ["chunk_id", "embedding_batch_id"], is_in("embedding_batch_id", map(batch_id_of, keys))
    )
    return _PartitionRows(
        ("chunk_id",),
        {
            (chunk_id,): batch_partition_key(batch_id)
            for batch in found
            for chunk_id, batch_id in _partition_values(batch, ("chunk_id", "embedding_batch_id"))
        },
    )


# Tables whose rows do not hold the key of their partition.
_LOOKED_UP: Mapping[str, Callable[[SliceTables, Sequence[str]], _PartitionRows]] = {
    "chunks": _of_file_versions,
    "references": _of_file_versions,
    "vectors": _of_batches,
}


@dataclass(frozen=True, slots=True)
class _AssetTable:
    """The table of an asset: its place, and the ways to write and read it; `what` names the asset in messages."""

    what: str
    slices: SliceTables
    name: str
    mode: WriteMode
    keys: tuple[str, ...]
    partition_expr: Any

    @property
    def where(self) -> Path | Bucket:
        """The place of the tables."""
        return self.slices.tables.where

    def partition_columns(self, context: Context) -> tuple[str, ...]:
        """The columns that hold the partition key, one per dimension, in alphabetical order of dimensions."""
        partitions = context.asset_partitions_def
        if self.partition_expr is None:
            raise StoreError(
                f"{self.what} is partitioned, but its metadata has no 'partition_expr': name the column that holds "
                'the partition key, such as metadata={"partition_expr": "day"}'
            )
        if not isinstance(partitions, dg.MultiPartitionsDefinition):
            return (str(self.partition_expr),)
        dimensions = sorted(partitions.partition_dimension_names)
        if not isinstance(self.partition_expr, Mapping) or set(self.partition_expr) != set(dimensions):
            raise StoreError(f"{self.what}: 'partition_expr' must map each of the dimensions {dimensions} to a column")
        return tuple(str(self.partition_expr[dimension]) for dimension in dimensions)

    def rows_of(self, context: Context, keys: Sequence[str]) -> _PartitionRows:
        """The rows of partitions, as they are found in the table."""
        if self.partition_expr is None and self.name in _LOOKED_UP:
            return _LOOKED_UP[self.name](self.slices, keys)
        return _PartitionRows(self.partition_columns(context), {_dimension_values(key): key for key in keys})

    def read(self, names: Sequence[str], some: _PartitionRows | None) -> Iterator[pa.RecordBatch]:
        """Columns of the table: all rows, or those of partitions."""
        if some is None:
            return self.slices.read(self.name, names, None)
        if self.name not in _LOOKED_UP:
            return self.slices.read(self.name, names, _partition_condition(some.columns, some.key_of))
        # Chunks of an older version may have the path of one file and the hash of another.
        wide = list(dict.fromkeys([*names, *some.columns]))
        where = all_of(
            *(is_in(column, sorted({parts[at] for parts in some.key_of})) for at, column in enumerate(some.columns))
        )
        batches = self.slices.read(self.name, wide, where)
        return (
            batch.filter(
                pa.array([parts in some.key_of for parts in _partition_values(batch, some.columns)], pa.bool_())
            ).select(list(names))
            for batch in batches
        )

    def describe(self) -> dict[str, Any]:
        """Metadata of a materialization, under Dagster's names where there are any."""
        tables = self.slices.tables
        return {
            "dagster/table_name": self.name,
            "dagster/storage_kind": "lancedb",
            "dagster/uri": as_uri(tables.path(self.name)),
            "dagster/row_count": tables.count(self.name),
            "dagster/column_schema": _table_schema(self.slices.schema(self.name) or pa.schema([])),
            "size_bytes": tables.disk_bytes(self.name),
        }


def _refuse_missing(context: dg.InputContext, asset: _AssetTable, rows_of: _PartitionRows, keys: Sequence[str]) -> None:
    found = asset.read(rows_of.columns, rows_of)
    present = {rows_of.key_of[parts] for batch in found for parts in _partition_values(batch, rows_of.columns)}
    rowless = [key for key in keys if key not in present]
    if not rowless:
        return
    materialized = context.instance.get_materialized_partitions(context.asset_key)
    missing = [key for key in rowless if key not in materialized]
    if missing:
        raise StoreError(
            f"{asset.what} has no data for {len(missing)} of {len(keys)} partitions: {shortened(missing)}. "
            "Materialize them, or set the input metadata `allow_missing_partitions`."
        )


def _is_every_partition(context: dg.InputContext, keys: Sequence[str]) -> bool:
    """Tell whether these are all partitions of the upstream asset."""
    existing = context.asset_partitions_def.get_partition_keys(dynamic_partitions_store=context.instance)
    return set(keys) == set(existing)


def _partition_keys(context: Context) -> Sequence[str] | None:
    """The partition keys that are written or read; `None` for assets without partitions."""
    return list(context.asset_partition_keys) if context.has_asset_partitions else None


def _dimension_values(key: str) -> tuple[str, ...]:
    """The key's values, one per dimension, in alphabetical order of dimensions."""
    if isinstance(key, dg.MultiPartitionKey):
        return tuple(value for _, value in sorted(key.keys_by_dimension.items()))
    return (str(key),)


def _partition_values(rows: pa.Table | pa.RecordBatch, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(rows.column(name).to_pylist() for name in columns), strict=True))


def _by_partition(rows: pa.Table, rows_of: _PartitionRows, keys: Sequence[str]) -> dict[str, pa.Table]:
    """The rows of each key, in one pass over them."""
    places: dict[str, list[int]] = {key: [] for key in keys}
    for place, parts in enumerate(_partition_values(rows, rows_of.columns)):
        places[rows_of.key_of[parts]].append(place)
    return {key: rows.take(pa.array(places[key], pa.int64())) for key in keys}


def _partition_condition(columns: Sequence[str], values: Iterable[tuple[str, ...]]) -> str:
    if len(columns) == 1:
        return is_in(columns[0], (parts[0] for parts in values))
    grouped: dict[tuple[str, ...], list[str]] = {}
    for *outer, last in values:
        grouped.setdefault(tuple(outer), []).append(last)
    alternatives = [
        all_of(
            *(equals(column, value) for column, value in zip(columns[:-1], outer, strict=True)),
            is_in(columns[-1], lasts),
        )
        for outer, lasts in grouped.items()
    ]
    return " OR ".join(f"({alternative})" for alternative in alternatives) or "false"


def _within_partitions(rows: pa.Table, columns: Sequence[str], keys: Sequence[str], what: str) -> pa.Table:
    """`rows` with their partition columns, which hold only `keys`.

    Raises:
        StoreError: a column is missing or of another type, or a row belongs to another partition.
    """
    for place, column in enumerate(columns):
        if column in rows.column_names:
            continue
        if len(keys) != 1:
            raise StoreError(
                f"{what}: rows for {len(keys)} partitions need the column {column!r} that tells them apart"
            )
        rows = rows.append_column(
            column, pa.repeat(pa.scalar(_dimension_values(keys[0])[place], pa.string()), rows.num_rows)
        )
    for column in columns:
        found = rows.schema.field(column).type
        if pa.types.is_null(found) and not rows.num_rows:  # an empty list of strings has no type in Arrow
            place = rows.schema.get_field_index(column)
            rows = rows.set_column(place, column, pa.array([], pa.string()))
        elif not (pa.types.is_string(found) or pa.types.is_large_string(found)):
            raise StoreError(f"{what}: the partition column {column!r} must hold the keys as strings, not {found}")
    allowed = {_dimension_values(key) for key in keys}
    distinct = rows.select(list(columns)).group_by(list(columns)).aggregate([]).to_pylist()
    outside = [row for row in (tuple(entry[column] for column in columns) for entry in distinct) if row not in allowed]
    if outside:
        named = shortened(["|".join(map(str, row)) for row in outside])
        raise StoreError(f"{what} returned rows of partitions that are not being written: {named}")
    return rows


def _shape_of(annotation: Any) -> tuple[type, bool]:
    """The shape that an input's type names, and whether it is a dict of it by partition."""
    origin = typing.get_origin(annotation)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _shape_of(get_args(annotation)[-1])[0], True
    if annotation is Any or annotation is None:
        return pa.Table, False
    if annotation is dict:
        return pa.Table, True
    if annotation not in FRAME_TYPES:
        raise StoreError(
            f"Tables cannot be loaded as {annotation}; annotate the input with one of "
            f"{', '.join(known.__name__ for known in FRAME_TYPES)}, or a dict of str to one of them"
        )
    return annotation, False


def _select(schema: pa.Schema, columns: Sequence[str] | None, table: str) -> pa.Schema:
    if columns is None:
        return schema
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise StoreError(f"Table {table!r} has no column {', '.join(map(repr, unknown))}; it has {schema.names}")
    return pa.schema([schema.field(name) for name in columns])


def _table_schema(schema: pa.Schema) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name, type=str(field.type), constraints=dg.TableColumnConstraints(nullable=field.nullable)
            )
            for field in schema
        ]
    )
