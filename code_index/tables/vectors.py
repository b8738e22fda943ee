"""Rows of `vectors` and `retired_vectors`, which phase 2 computes and may need again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.errors import StoreError
from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors, off_unit, vector_lengths
from code_index.tables import schemas
from code_index.tables.lance_tables import LanceTables
from code_index.tables.own_commits import Versions
from code_index.tables.row_checks import conform, shortened, timestamp
from code_index.tables.sql import all_of, equals, is_in, sql_literal
from code_index.tables.table_names import RETIRED_TABLE, VECTORS_TABLE

if TYPE_CHECKING:
    import polars as pl

_KEYS = ("chunk_id",)
_RETIRED_KEYS = ("cache_key",)
_IDS_FOR_ONE = 30  # ids that are read in the time that one takes as part of a condition
_RETIRE_ROWS = 20_000  # of 384 components: 30 MB

COPIED_COLUMNS = tuple(
    name for name in schemas.vectors(1).names if name in schemas.CHUNKS.names and name != "chunk_id"
)  # file_path, start_line, end_line, language, chunk_type, function_name, class_name, subproject_name
"""Columns that a vector has from its chunk, for the filters of a search."""


class VectorRows:
    """Read and write `vectors` (key: chunk_id) and `retired_vectors` (key: cache_key)."""

    def __init__(self, tables: LanceTables) -> None:
        self._tables = tables
        self._of_models: dict[str, VectorRows] = {}
        self._only_model: tuple[str, str, bool] | None = None  # table and version, a model, whether it has no other
        self._texts: tuple[Versions, pl.Series] | None = None  # those of a version, in short

    def of_model(self, model: str) -> VectorRows:
        """Return the vectors of that model; themselves where these are read anyway."""
        if self._tables.reads_model(model):
            return self
        if model not in self._of_models:
            self._of_models[model] = VectorRows(LanceTables(self._tables.where, model_id=model))
        return self._of_models[model]

    def dimension(self) -> int | None:
        """Return the number of components of the vectors in the table; `None` when there is no table yet."""
        for name in (VECTORS_TABLE, RETIRED_TABLE):
            if (stored := self._tables.schema(name)) is not None:
                return int(stored.field("vector").type.list_size)
        return None

    def read(
        self, columns: Sequence[str] | None = None, where: str | None = None, limit: int | None = None
    ) -> pa.Table:
        """Read rows of `vectors`, in no order."""
        return self._tables.read(VECTORS_TABLE, self._schema(), columns=columns, where=where, limit=limit)

    def iter_read(
        self, columns: Sequence[str], where: str | None = None, *, batch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """Read the same as batches of one version of the table; memory stays flat."""
        return self._tables.iter_read(
            VECTORS_TABLE, self._schema(), columns=columns, where=where, batch_size=batch_size
        )

    def add(self, rows: pa.Table, *, are_new: bool = False) -> None:
        """Insert or overwrite vectors by chunk_id, in one commit.

        With `are_new` they are appended without a look at those that are there: none is of these chunks, and nobody else adds any.

        `vector_rows` makes such rows. They need chunk_id, vector, text_hash and embedding_model; `VectorSync` fills
        copied columns that are absent. A row of another model is overwritten: call `retire` first to keep it.

        Raises:
            StoreError: NaN or infinity, a norm that is not 1, another dimension, or a chunk_id twice.
        """
        dimension = _dimension_of(rows)
        self._check_dimension(dimension)
        for required in ("text_hash", "embedding_model"):
            if required not in rows.column_names or rows.column(required).null_count:
                raise StoreError(f"Rows for table 'vectors' need {required!r} in every row")
        schema = schemas.vectors(dimension)
        rows = conform(rows, schema, table=VECTORS_TABLE)
        _refuse_bad_vectors(rows, dimension)
        file_paths = rows.column("file_path").unique().to_pylist()
        write = self._tables.append if are_new else self._tables.merge
        before = self.versions()
        write(VECTORS_TABLE, schema, rows, keys=_KEYS, file_paths=file_paths)
        self._note_texts(before, rows.column("text_hash"))

    def by_text_hash(self, text_hashes: Sequence[str], model: str) -> pa.Table:
        """Find text_hash and vector of texts that `model` has embedded before, in use or retired; each text once."""
        schema = schemas.vectors(self.dimension() or 1)
        columns = ["text_hash", "vector"]
        asked = pa.array(dict.fromkeys(text_hashes), pa.string())
        texts = self._known_texts(read=_IDS_FOR_ONE * len(asked) > self.count())
        if texts is not None:  # most are of texts that are not there
            asked = asked.filter(_short(asked).is_in(texts.implode()).to_arrow())
        where = all_of(is_in("text_hash", asked.to_pylist()), equals("embedding_model", model))
        found = _first_of_each(self._tables.read(VECTORS_TABLE, schema, columns=columns, where=where), "text_hash")
        known = set(found.column("text_hash").to_pylist())
        missing = [text_hash for text_hash in dict.fromkeys(text_hashes) if text_hash not in known]
        if not missing or not self._tables.count(RETIRED_TABLE):
            return found
        retired = self._tables.read(
            RETIRED_TABLE,
            schemas.retired_vectors(self.dimension() or 1),
            columns=columns,
            where=is_in("cache_key", [cache_key(text_hash, model) for text_hash in missing]),
        )
        return pa.concat_tables([found, retired])

    def retire(
        self,
        *,
        now: datetime,
        chunk_ids: Sequence[str] | None = None,
        model: str | None = None,
        file_paths: Sequence[str] | None = None,
    ) -> int:
        """Move vectors (of these chunks, of that model; all for `None`) to `retired_vectors`; returns how many.

        They are copied before they are deleted: a crash in between leaves both, and the next call fixes that. `file_paths`
        are the files that they are of, where the caller knows them.
        """
        where = all_of(
            None if chunk_ids is None else is_in("chunk_id", chunk_ids),
            None if model is None else equals("embedding_model", model),
        )
        columns = ["text_hash", "embedding_model", "vector"]
        for piece in self.iter_read(columns, where, batch_size=_RETIRE_ROWS):
            self._add_retired(pa.Table.from_batches([piece]), now)
        return self._tables.delete(VECTORS_TABLE, where or "true", file_paths=file_paths)

    def forget_retired(self, *, before: datetime) -> int:
        """Remove vectors that were retired before that time; returns how many."""
        return self._tables.delete(RETIRED_TABLE, _retired_before(before))

    def count_retired(self, *, before: datetime) -> int:
        """Count the vectors that `forget_retired` would remove."""
        return self._tables.count(RETIRED_TABLE, _retired_before(before))

    def delete(self, chunk_ids: Sequence[str]) -> int:
        """Remove the vectors of these chunks for good; returns how many."""
        return self._tables.delete(VECTORS_TABLE, is_in("chunk_id", chunk_ids))

    def drop(self) -> None:
        """Remove all vectors, retired ones too."""
        self._tables.drop(RETIRED_TABLE)
        self._tables.drop(VECTORS_TABLE)

    def versions(self) -> Versions:
        """Return which version of these vectors is the latest, for `own_commits`."""
        return self._tables.versions(VECTORS_TABLE)

    def counts(self) -> dict[str, int]:
        """Count the vectors per model."""
        first = self.read(columns=["embedding_model"], limit=1).column("embedding_model").to_pylist()
        if first and first[0] is not None and self.holds_only(first[0]):
            return {first[0]: self.count()}
        models = self.read(columns=["embedding_model"]).column("embedding_model")
        return {str(entry["values"]): int(entry["counts"]) for entry in models.value_counts().to_pylist()}

    def count(self, model: str | None = None) -> int:
        """Count the vectors of a model, or all."""
        if model is None:
            return self._tables.count(VECTORS_TABLE)
        if (rows := self.of_model(model)) is not self:
            return rows.count(model)
        return self._tables.count(VECTORS_TABLE, equals("embedding_model", model))

    def holds_only(self, model: str) -> bool:
        """Tell whether every vector is of that model: a condition that every row meets still costs its evaluation."""
        version = f"{self._tables.stored_name(VECTORS_TABLE)}@{self._tables.version(VECTORS_TABLE)}"
        if self._only_model is None or self._only_model[:2] != (version, model):
            self._only_model = (version, model, self.count(model) == self.count())
        return self._only_model[2]

    def embedded(self, model: str, among: pa.ChunkedArray | None = None) -> pa.ChunkedArray:
        """List the chunk_id of each vector of that model; with `among` at least those of these chunks."""
        rows = self.of_model(model)
        return rows.ids(among, None if rows.holds_only(model) else equals("embedding_model", model))

    def ids(self, among: pa.ChunkedArray | None = None, where: str | None = None) -> pa.ChunkedArray:
        """List the chunk_id of each vector; with `among` at least those of these chunks."""
        if among is not None and _IDS_FOR_ONE * len(among) < self.count():
            where = all_of(is_in("chunk_id", among.to_pylist()), where)
        return self.read(["chunk_id"], where).column("chunk_id")

    def _known_texts(self, *, read: bool) -> pl.Series | None:
        """Short forms of the texts with vectors; None where this version's are not known and, without `read`, not worth it.

        A run asks before each of its commits: that of all rows again each time grows with the square of the table.
        """
        versions = self.versions()
        if self._texts is None or self._texts[0] != versions:
            if not read:
                return None
            self._texts = versions, _short(self.read(["text_hash"]).column("text_hash"))
        return self._texts[1]

    def _note_texts(self, before: Versions, text_hashes: pa.ChunkedArray) -> None:
        """Add the texts of a commit to the known ones, if nobody else committed since these versions."""
        after, known = self.versions(), self._texts
        next_ones = {table: (identity, version + 1) for table, (identity, version) in before.items()}
        if known is not None and known[0] == before and after == next_ones:
            with importing:
                import polars as pl

            self._texts = after, pl.concat([known[1], _short(text_hashes)])

    def _schema(self) -> pa.Schema:
        return schemas.vectors(self.dimension() or 1)

    def _check_dimension(self, dimension: int) -> None:
        found = self.dimension()
        if found is not None and found != dimension:
            raise StoreError(
                f"Table 'vectors' in {self._tables.where} holds vectors of {found} dimensions, the model gives "
                f"{dimension}. Go back to the model that made them, or drop the vectors and embed again."
            )

    def _add_retired(self, rows: pa.Table, now: datetime) -> None:
        rows = rows.filter(pc.is_valid(rows.column("text_hash")))
        keys = pc.binary_join_element_wise(rows.column("text_hash"), rows.column("embedding_model"), "@")
        rows = _first_of_each(rows.append_column("cache_key", keys), "cache_key")
        rows = rows.append_column("retired_at", pa.repeat(timestamp(now), rows.num_rows))
        schema = schemas.retired_vectors(_dimension_of(rows))
        if rows.num_rows:
            self._tables.merge(RETIRED_TABLE, schema, rows, keys=_RETIRED_KEYS)


def vector_rows(
    chunks: Sequence[Mapping[str, Any]] | pa.Table,
    matrix: Vectors,
    *,
    text_hashes: Sequence[str] | pa.ChunkedArray,
    model: str,
    embedded_at: datetime,
) -> pa.Table:
    """Make rows of `vectors` from chunks and their vectors.

    Args:
        chunks: rows of `chunks` with at least chunk_id and `COPIED_COLUMNS`.
        matrix: (chunks, dimension) float32, unit rows, in the order of `chunks`.
        text_hashes: identity of each chunk's embedded text, in the same order.
        model: identity of the model.
        embedded_at: when the model gave the vectors, with a time zone.
    """
    columns: dict[str, Any] = {
        name: chunks.column(name) if isinstance(chunks, pa.Table) else [chunk[name] for chunk in chunks]
        for name in ("chunk_id", *COPIED_COLUMNS)
    }
    columns["vector"] = pa.FixedSizeListArray.from_arrays(
        pa.array(matrix.astype(np.float32, copy=False).reshape(-1)), matrix.shape[1]
    )
    columns["text_hash"] = text_hashes
    columns["embedding_model"] = pa.repeat(pa.scalar(model), len(chunks))
    columns["embedded_at"] = pa.repeat(timestamp(embedded_at), len(chunks))
    return pa.table(columns, schema=schemas.vectors(matrix.shape[1]))


def cache_key(text_hash: str, model: str) -> str:
    """Make the key of `retired_vectors`; a text_hash is hex digits, so `@` ends it."""
    return f"{text_hash}@{model}"


def _retired_before(moment: datetime) -> str:
    literal = sql_literal(timestamp(moment).as_py().strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return f"retired_at < to_timestamp_micros({literal})"


def _short(text_hashes: pa.Array | pa.ChunkedArray) -> pl.Series:
    """64 bits for each text: where two share them, one is looked for in vain."""
    with importing:
        import polars as pl

    return pl.Series(text_hashes, dtype=pl.String).hash()


def _first_of_each(rows: pa.Table, column: str) -> pa.Table:
    """Keep the first row of each value of `column`, in order of appearance."""
    numbered = pa.table({"value": rows.column(column), "place": pa.array(np.arange(rows.num_rows))})
    places = numbered.group_by("value").aggregate([("place", "min")]).column("place_min")
    return rows.take(places.combine_chunks().sort())


def _dimension_of(rows: pa.Table) -> int:
    if "vector" not in rows.column_names:
        raise StoreError("Rows for table 'vectors' lack the column 'vector'")
    found = rows.schema.field("vector").type
    if not pa.types.is_fixed_size_list(found):
        raise StoreError(f"Column 'vector' must be a fixed-size list of float32, not {found}")
    return int(found.list_size)


def _refuse_bad_vectors(rows: pa.Table, dimension: int) -> None:
    column = rows.column("vector").combine_chunks()
    chunk_ids = rows.column("chunk_id")
    if column.null_count:
        raise StoreError(f"{column.null_count} rows for table 'vectors' have no vector")
    flat = column.flatten()
    if flat.null_count:
        raise StoreError(f"Vectors for table 'vectors' hold {flat.null_count} nulls")
    values = np.asarray(flat).reshape(-1, dimension)
    norms = vector_lengths(values)
    bad = off_unit(norms)
    if bad.size:
        culprits = [f"{chunk_ids[int(place)]} (norm {norms[place]:.4g})" for place in bad]
        raise StoreError(
            f"{bad.size} vectors are not finite or not of unit norm: {shortened(culprits)}. "
            "Normalize in float32 before they are stored."
        )
